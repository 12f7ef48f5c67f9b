package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** What is chosen and where it goes, beside lists that a plain loop sorts. */
class HeldTokensTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4,4x6,6x6");

  /** A head of a row: what its slots hold, and the attention that each token has got. */
  private static final class Head {
    private List<Integer> slots = new ArrayList<>();
    private final double[] sums = new double[SCALES.cachedTokens()];
  }

  /** Answers what it is told to, and notes what it is asked. */
  private static final class Told implements AttentionRule {
    private final boolean accumulates;
    private float[] scores = {};
    private int[] tokens = {};
    private float[] attention = {};
    private float[] accumulated = {};

    Told(boolean accumulates) {
      this.accumulates = accumulates;
    }

    @Override
    public int[] window(ScaleSize map) {
      return new int[0];
    }

    @Override
    public boolean accumulates() {
      return accumulates;
    }

    @Override
    public Tensor scores(ObservedCandidates candidates) {
      tokens = candidates.tokens().toInts();
      attention = candidates.attention().toFloats();
      accumulated = candidates.accumulated().toFloats();
      return device(scores, candidates.attention().shape());
    }
  }

  private static Tensor device(float[] values, long... shape) {
    return Tensor.of(BACKEND, values, shape).to(TestDevice.device());
  }

  /** The candidates of the highest scores; of equal ones the later. */
  private static List<Integer> best(List<Integer> ascending, float[] scores, int from, int quota) {
    return IntStream.range(0, ascending.size())
        .boxed()
        .sorted(
            Comparator.<Integer>comparingDouble(i -> scores[from + i])
                .thenComparing(i -> i)
                .reversed())
        .limit(quota)
        .map(ascending::get)
        .sorted()
        .toList();
  }

  /**
   * The picture's first row holds its tokens in order. Another row's token whose slot's content the
   * first row keeps moves with it; what the first row drops is passed on behind, as long as there
   * is room; the other tokens fill the gaps.
   */
  private static List<Integer> arranged(
      List<Integer> firstSlots, List<Integer> firstKept, List<Integer> slots, List<Integer> kept) {
    List<Integer> way =
        new ArrayList<>(
            IntStream.range(0, firstSlots.size())
                .filter(i -> firstKept.contains(firstSlots.get(i)))
                .boxed()
                .toList());
    IntStream.range(0, firstSlots.size()).filter(i -> !way.contains(i)).forEach(way::add);
    Integer[] result = new Integer[kept.size()];
    List<Integer> others = new ArrayList<>(kept);
    for (int i = 0; i < Math.min(way.size(), result.length); i++) {
      Integer token = slots.get(way.get(i));
      if (kept.contains(token)) {
        result[i] = token;
        others.remove(token);
      }
    }
    for (int i = 0; i < result.length; i++) {
      result[i] = result[i] == null ? others.removeFirst() : result[i];
    }
    return Arrays.asList(result);
  }

  private static List<Integer> counts(Random random) {
    List<Integer> counts = new ArrayList<>();
    int held = 0;
    for (int t = 0; t < SCALES.count() - 1; t++) {
      int all = held + SCALES.tokens(t);
      held = random.nextInt(3) == 0 ? all : 1 + random.nextInt(all);
      counts.add(held);
    }
    return counts;
  }

  @Test
  void whatIsChosenAndWhereItGoes() {
    long live = BACKEND.liveTensors();
    for (long seed = 1; seed <= 60; seed++) {
      Random random = new Random(seed);
      int pictureRows = 1 + random.nextInt(3);
      int pictures = 1 + random.nextInt(3);
      int heads = 1 + random.nextInt(3);
      KvShape shape =
          new KvShape(1, pictures * pictureRows, pictureRows, heads, 8, DType.F32, SCALES);
      List<Integer> numbers = IntStream.range(0, heads).boxed().toList();
      EvictionPlan.Group group =
          new EvictionPlan.Group(numbers, new EvictionPlan.Run(0, heads), counts(random));
      List<List<Head>> rows = new ArrayList<>();
      for (int row = 0; row < shape.batch(); row++) {
        rows.add(new ArrayList<>(numbers.stream().map(_ -> new Head()).toList()));
      }
      long[] upwards = LongStream.range(0, 200).toArray();
      try (Scope scope = Scope.open()) {
        HeldTokens.Counting counting =
            HeldTokens.Counting.of(
                Tensor.of(BACKEND, upwards, upwards.length).to(TestDevice.device()), scope);
        try (HeldTokens held = new HeldTokens(shape, 0, group, counting)) {
          Told rule = new Told(random.nextBoolean());
          for (int t = 0; t < SCALES.count() - 1; t++) {
            step(held, rule, group, pictureRows, rows, t, random);
            if (rows.size() > pictureRows && random.nextInt(4) == 0) {
              int first = random.nextInt(rows.size() / pictureRows) * pictureRows;
              held.removeRows(first, pictureRows);
              List<List<Head>> last = rows.subList(rows.size() - pictureRows, rows.size());
              for (int i = 0; i < pictureRows; i++) {
                rows.set(first + i, last.get(i));
              }
              last.clear();
            }
          }
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static void step(
      HeldTokens held,
      Told rule,
      EvictionPlan.Group group,
      int pictureRows,
      List<List<Head>> rows,
      int scale,
      Random random) {
    int heads = group.heads().size();
    int quota = group.counts().get(scale);
    List<Integer> fresh =
        IntStream.range(SCALES.offset(scale), SCALES.offset(scale + 1)).boxed().toList();
    int count = group.held(scale) + fresh.size();
    float[] observed = new float[rows.size() * heads * count];
    rule.scores = new float[observed.length];
    int[] tokens = new int[observed.length];
    float[] attention = new float[observed.length];
    float[] sums = new float[observed.length];
    List<Long> expected = new ArrayList<>();
    for (int at = 0; at < rows.size() * heads; at++) {
      int row = at / heads;
      Head head = rows.get(row).get(at % heads);
      List<Integer> all = new ArrayList<>(head.slots);
      all.addAll(fresh);
      List<Integer> ascending = all.stream().sorted().toList();
      for (int i = 0; i < count; i++) {
        // Eighths are summed exactly; a few values, so that many are equal.
        observed[at * count + i] = random.nextInt(1000) / 8f;
        rule.scores[at * count + i] = random.nextInt(4);
      }
      for (int i = 0; i < count; i++) {
        int token = ascending.get(i);
        tokens[at * count + i] = token;
        attention[at * count + i] = observed[at * count + all.indexOf(token)];
        head.sums[token] += attention[at * count + i];
        sums[at * count + i] = (float) head.sums[token];
      }
    }
    try (Scope _ = Scope.open()) {
      Tensor seen = device(observed, rows.size(), heads, count);
      if (quota == count) {
        held.keepAll(scale, rows.size(), rule.accumulates ? seen : null);
        rows.forEach(row -> row.forEach(head -> head.slots.addAll(fresh)));
        return;
      }
      Tensor flags = Tensor.full(BACKEND, 0, DType.BOOL, TestDevice.device(), count);
      Tensor entries = held.choose(rule, scale, seen, flags);
      assertThat(rule.tokens).containsExactly(tokens);
      assertThat(rule.attention).containsExactly(attention);
      assertThat(rule.accumulated).containsExactly(rule.accumulates ? sums : attention);
      List<List<Integer>> next = new ArrayList<>();
      for (int at = 0; at < rows.size() * heads; at++) {
        int first = at / heads / pictureRows * pictureRows * heads + at % heads;
        List<Integer> kept = best(ints(tokens, at, count), rule.scores, at * count, quota);
        List<Integer> firstKept =
            best(ints(tokens, first, count), rule.scores, first * count, quota);
        List<Integer> slots = rows.get(at / heads).get(at % heads).slots;
        List<Integer> result =
            arranged(rows.get(first / heads).get(at % heads).slots, firstKept, slots, kept);
        next.add(result);
        for (int token : result) {
          int place =
              token < fresh.getFirst()
                  ? slots.indexOf(token)
                  : slots.size() + token - fresh.getFirst();
          expected.add((long) at * count + place);
        }
        assertThat(held.tokens(at % heads, at / heads))
            .containsExactly(kept.stream().mapToInt(token -> token).toArray());
      }
      assertThat(Arrays.stream(entries.toInts()).asLongStream().boxed()).isEqualTo(expected);
      for (int at = 0; at < next.size(); at++) {
        rows.get(at / heads).get(at % heads).slots = new ArrayList<>(next.get(at));
      }
    }
  }

  private static List<Integer> ints(int[] tokens, int at, int count) {
    return Arrays.stream(tokens, at * count, (at + 1) * count).boxed().toList();
  }
}
