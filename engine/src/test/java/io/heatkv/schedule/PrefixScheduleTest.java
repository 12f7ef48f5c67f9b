package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Schedules of one list of atoms, by what must hold of them whatever the list. */
class PrefixScheduleTest {
  private static final int CASES = 3000;

  private static int[] wanted(ScheduleShape shape, long seed) {
    SplittableRandom random = new SplittableRandom(~seed);
    int[] codes = new int[(shape.lastSource() - shape.firstSource() + 1) * shape.allHeads()];
    for (int i = 0; i < codes.length; i++) {
      int j = random.nextInt(i + 1);
      codes[i] = codes[j];
      codes[j] = shape.firstSource() * shape.allHeads() + i;
    }
    return codes;
  }

  private static PruningSchedule schedule(RandomCases random, long seed, double budget) {
    return new PrefixBuilder(random.shape(), wanted(random.shape(), seed), budget).build();
  }

  private static Set<Atom> removable(ScheduleShape shape, int scale) {
    Set<Atom> atoms = new HashSet<>();
    for (int s = shape.firstSource(); s <= Math.min(scale, shape.lastSource()); s++) {
      for (int h = 0; h < shape.heads(); h++) {
        for (int l = 0; l < shape.layers(); l++) {
          atoms.add(new Atom(s, h, l));
        }
      }
    }
    return atoms;
  }

  /** Follows the cache layer by layer, with sets. */
  @Test
  void theBudgetHoldsAfterEveryWriteAndNothingComesBack() {
    for (long seed = 0; seed < CASES; seed++) {
      RandomCases random = RandomCases.of(seed);
      ScheduleShape shape = random.shape();
      PruningSchedule schedule = schedule(random, seed, random.budget());
      String name = "seed " + seed;
      Set<Atom> live = new HashSet<>();
      Set<Atom> gone = new HashSet<>();
      for (int t = 0; t < shape.scales() - 1; t++) {
        Set<Atom> ended = new HashSet<>(schedule.finalRemoved(t));
        assertThat(ended).as(name).containsAll(gone);
        assertThat(removable(shape, t)).as(name).containsAll(ended);
        Set<Atom> unseen = new HashSet<>(gone);
        for (int l = 0; l < shape.layers(); l++) {
          int layer = l;
          int scale = t;
          List<Atom> early = schedule.early(t, l);
          assertThat(live).as(name).containsAll(early);
          assertThat(ended).as(name).containsAll(early);
          assertThat(early).as(name).allMatch(atom -> atom.layer() > layer);
          unseen.addAll(early);
          early.forEach(live::remove);
          live.removeIf(atom -> atom.layer() == layer && ended.contains(atom));
          removable(shape, t).stream()
              .filter(atom -> atom.source() == scale && atom.layer() == layer)
              .filter(atom -> !ended.contains(atom))
              .forEach(live::add);
          long total =
              live.stream().mapToLong(atom -> shape.tokens(atom.source())).sum()
                  + shape.allHeads() * shape.tokensBefore(Math.min(shape.sinkScales(), t));
          assertThat(schedule.total(t, l)).as(name).isEqualTo(total);
          assertThat((double) total).as(name).isLessThanOrEqualTo(schedule.thresholdTokens());
        }
        assertThat(schedule.removedAt(t)).as(name).containsExactlyInAnyOrderElementsOf(unseen);
        gone = ended;
      }
      assertThat(schedule.finalRemoved(shape.scales() - 1))
          .as(name)
          .containsExactlyInAnyOrderElementsOf(gone);
    }
  }

  @Test
  void aLargerBudgetKeepsAllThatASmallerOneKeeps() {
    for (long seed = 0; seed < CASES; seed++) {
      RandomCases random = RandomCases.of(seed);
      double more = Math.min(1, random.budget() * 1.3 + 0.01);
      PruningSchedule small = schedule(random, seed, random.budget());
      PruningSchedule large = schedule(random, seed, more);
      for (int t = 0; t < random.shape().scales(); t++) {
        assertThat(small.finalRemoved(t)).as("seed " + seed).containsAll(large.finalRemoved(t));
      }
    }
  }

  @Test
  void theNextAtomOfTheListWouldNotFit() {
    for (long seed = 0; seed < CASES; seed++) {
      RandomCases random = RandomCases.of(seed);
      ScheduleShape shape = random.shape();
      PruningSchedule schedule = schedule(random, seed, random.budget());
      for (int t = shape.firstSource(); t < shape.scales() - 1; t++) {
        int scale = t;
        Set<Atom> ended = new HashSet<>(schedule.finalRemoved(t));
        List<Atom> list =
            Arrays.stream(wanted(shape, seed))
                .mapToObj(shape::atom)
                .filter(atom -> atom.source() <= scale)
                .toList();
        int kept = list.size() - ended.size();
        assertThat(list.subList(0, kept)).as("seed " + seed).noneMatch(ended::contains);
        if (kept < list.size()) {
          long end = schedule.total(t, shape.layers() - 1);
          assertThat((double) end + shape.tokens(list.get(kept).source()))
              .as("seed " + seed)
              .isGreaterThan(schedule.thresholdTokens());
        }
      }
    }
  }

  @Test
  void plansTwiceTheSameAndFitsItsArena() {
    for (long seed = 0; seed < 400; seed++) {
      RandomCases random = RandomCases.of(seed);
      PruningSchedule schedule = schedule(random, seed, random.budget());
      assertThat(schedule(random, seed, random.budget()).sha256()).isEqualTo(schedule.sha256());
      CachePlanTest.execute("seed " + seed, schedule);
    }
  }

  @Test
  void refusesABudgetBelowTheSinkScales() {
    RandomCases random = RandomCases.of(4);
    double below = Math.nextDown(RemovedHeads.smallestBudget(random.shape()));
    assertThatThrownBy(() -> schedule(random, 4, below))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("budget");
  }
}
