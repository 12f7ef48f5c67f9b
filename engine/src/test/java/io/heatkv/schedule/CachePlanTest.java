package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Slots, by executing the plan on an arena that remembers who owns each slot. */
class CachePlanTest {
  /** A token of an atom: what a slot holds. */
  private record Entry(Atom atom, int token) {}

  static void execute(String name, PruningSchedule schedule) {
    ScheduleShape shape = schedule.shape();
    CachePlan plan = CachePlan.of(schedule);
    Entry[] arena = new Entry[plan.capacity()];
    int most = 0;
    boolean allCounted =
        shape.firstSource() == shape.sinkScales() && shape.lastSource() == shape.scales() - 2;
    Set<Atom> live = new HashSet<>();
    Set<Atom> before = Set.of();
    for (int t = 0; t < shape.scales(); t++) {
      Set<Atom> removed = new HashSet<>(schedule.removedAt(t));
      Set<Atom> ended = new HashSet<>(schedule.finalRemoved(t));
      for (int l = 0; l < shape.layers(); l++) {
        String place = name + ", scale " + t + ", layer " + l;
        CacheStep step = plan.step(t, l);
        assertReads(place, shape, step, arena, removed, t, l);
        if (t == shape.scales() - 1) {
          assertThat(step.writtenHeads()).as(place).isEmpty();
          assertThat(step.writeSlots()).as(place).isEmpty();
          continue;
        }
        live.removeAll(schedule.early(t, l));
        int layer = l;
        int scale = t;
        live.removeIf(atom -> atom.layer() == layer && ended.contains(atom));
        Set<Integer> owned = slots(plan, live);
        assertThat(owned).as(place).hasSize(tokens(shape, live));
        List<Integer> heads = new ArrayList<>();
        for (int h = 0; h < shape.heads(); h++) {
          if (!ended.contains(new Atom(scale, h, l))) {
            heads.add(h);
            live.add(new Atom(scale, h, l));
          }
        }
        assertThat(step.writtenHeads()).as(place).containsExactly(heads.toArray(Integer[]::new));
        assertThat(step.writeSlots()).as(place).hasSize(heads.size() * shape.tokens(t));
        for (int i = 0; i < step.writeSlots().length; i++) {
          int slot = step.writeSlots()[i];
          assertThat(owned.add(slot)).as(place + ": slot %s has one owner", slot).isTrue();
          Atom atom = new Atom(t, heads.get(i / shape.tokens(t)), l);
          arena[slot] = new Entry(atom, i % shape.tokens(t));
        }
        assertThat(owned).as(place).isEqualTo(slots(plan, live));
        int now = tokens(shape, live);
        most = Math.max(most, now);
        assertThat(plan.live(t, l)).as(place).isEqualTo(now);
        if (allCounted && t >= shape.sinkScales()) {
          assertThat(schedule.total(t, l)).as(place).isEqualTo(now);
        }
      }
      assertThat(ended).as(name).containsAll(before);
      before = ended;
    }
    assertThat(plan.capacity()).as(name).isEqualTo(most);
    if (allCounted) {
      assertThat(schedule.peakTokens()).as(name).isEqualTo(most);
    }
  }

  private static void assertReads(
      String place,
      ScheduleShape shape,
      CacheStep step,
      Entry[] arena,
      Set<Atom> removed,
      int scale,
      int layer) {
    int next = 0;
    for (int h = 0; h < shape.heads(); h++) {
      int start = next;
      for (int s = 0; s < scale; s++) {
        Atom atom = new Atom(s, h, layer);
        if (removed.contains(atom)) {
          continue;
        }
        for (int token = 0; token < shape.tokens(s); token++) {
          assertThat(arena[step.readSlots()[next++]]).as(place).isEqualTo(new Entry(atom, token));
        }
      }
      assertThat(step.readLengths()[h]).as(place).isEqualTo(next - start);
    }
    assertThat(step.readSlots()).as(place).hasSize(next);
  }

  private static int tokens(ScheduleShape shape, Set<Atom> atoms) {
    return atoms.stream().mapToInt(atom -> shape.tokens(atom.source())).sum();
  }

  private static Set<Integer> slots(CachePlan plan, Set<Atom> atoms) {
    Set<Integer> slots = new HashSet<>();
    for (Atom atom : atoms) {
      int[] runs = plan.runs(atom);
      for (int i = 0; i < runs.length; i += 2) {
        for (int slot = runs[i]; slot < runs[i] + runs[i + 1]; slot++) {
          slots.add(slot);
        }
      }
    }
    return slots;
  }

  @Test
  void randomShapes() {
    for (long seed = 0; seed < 400; seed++) {
      RandomCases random = RandomCases.of(seed);
      execute("seed " + seed, PruningSchedule.of(random.shape(), random.orders(), random.budget()));
    }
  }

  /** One layer, two heads, tokens 1 2 3 4; head 1 goes first, of scales 1 and 2. */
  @Test
  void byHand() {
    ScheduleShape shape = new ScheduleShape(1, 2, new int[] {1, 2, 3, 4}, 1, 1, 2);
    List<List<Integer>> order = List.of(List.of(1, 0), List.of(0, 0));
    HeadOrders orders = HeadOrders.parse("hand", List.of(order, order), 1, 2, 1, 2);
    // 7 of 12 head-tokens: the sink scale twice, and scales 1 and 2 in one head.
    CachePlan plan = CachePlan.of(PruningSchedule.of(shape, orders, 7 / 12.0));
    assertThat(plan.capacity()).isEqualTo(7);
    assertThat(new int[] {plan.live(0, 0), plan.live(1, 0), plan.live(2, 0)})
        .containsExactly(2, 6, 7);
    assertThat(plan.step(0, 0).readSlots()).isEmpty();
    assertThat(plan.step(1, 0).writtenHeads()).containsExactly(0, 1);
    assertThat(plan.step(2, 0).readLengths()).containsExactly(3, 3);
    assertThat(plan.step(2, 0).writtenHeads()).containsExactly(0);
    assertThat(plan.step(3, 0).readLengths()).containsExactly(6, 1);
    assertThat(plan.isVisible(new Atom(1, 1, 0), 2)).isTrue();
    assertThat(plan.isVisible(new Atom(1, 1, 0), 3)).isFalse();
    assertThat(plan.runs(new Atom(2, 1, 0))).isEmpty();
  }

  /** With everything kept the arena is filled once, in the order of writing. */
  @Test
  void fullBudgetIsOneLongRun() {
    ScheduleShape shape = new ScheduleShape(2, 2, new int[] {1, 4, 9}, 0, 0, 1);
    HeadOrders orders = RandomCases.orders(shape, new java.util.SplittableRandom(1));
    CachePlan plan = CachePlan.of(PruningSchedule.of(shape, orders, 1));
    assertThat(plan.capacity()).isEqualTo(20);
    Map<Atom, Integer> starts = new HashMap<>();
    int next = 0;
    for (int s = 0; s < 2; s++) {
      for (int l = 0; l < 2; l++) {
        for (int h = 0; h < 2; h++) {
          starts.put(new Atom(s, h, l), next);
          next += shape.tokens(s);
        }
      }
    }
    starts.forEach((atom, start) ->
        assertThat(plan.runs(atom)).containsExactly(start, shape.tokens(atom.source())));
  }

  @Test
  void infinity8bFitsAtAnyBudget() {
    for (double budget : new double[] {0.0033, 0.05, 0.1, 0.9, 1}) {
      PruningSchedule schedule = PruningSchedule.of(Goldens.SHAPE_8B, Goldens.orders8b(), budget);
      CachePlan plan = CachePlan.of(schedule);
      assertThat(plan.capacity())
          .isEqualTo((int) schedule.peakTokens())
          .isLessThanOrEqualTo((int) (budget * 1120 * 6425));
      for (int l = 0; l < 40; l++) {
        CacheStep step = plan.step(12, l);
        BitSet slots = new BitSet(plan.capacity());
        Arrays.stream(step.readSlots()).forEach(slots::set);
        assertThat(slots.cardinality()).isEqualTo(step.readSlots().length);
        assertThat(slots.length()).isLessThanOrEqualTo(plan.capacity());
        assertThat(Arrays.stream(step.readLengths()).sum()).isEqualTo(step.readSlots().length);
      }
    }
  }
}
