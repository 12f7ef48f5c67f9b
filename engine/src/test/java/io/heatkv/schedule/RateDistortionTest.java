package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Plans of levels, by hand and by executing random ones on an arena that knows its owners. */
class RateDistortionTest {
  private static final ScaleGrids LARGE_GRIDS =
      ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64");
  private static final int CASES = 10_000;

  /** A shape with costs and a budget; the seed says everything about it. */
  private record Case(LevelShape shape, LevelCosts costs, LevelSet levels, double budget) {
    static Case of(long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      int scales = random.nextInt(2, 7);
      List<String> sizes = new ArrayList<>();
      int height = 1;
      int width = 1;
      for (int t = 0; t < scales; t++) {
        height += random.nextInt(t == 0 ? 2 : 4);
        width += random.nextInt(t == 0 ? 2 : 4);
        sizes.add(height + "x" + width);
      }
      ScaleGrids grids = ScaleGrids.parse(String.join(",", sizes));
      int headDim = 2 << random.nextInt(1, 7);
      LevelShape shape =
          LevelShape.of(
              random.nextInt(1, 5), random.nextInt(1, 4), headDim, 1 + random.nextInt(2), grids, 0);
      String[] sets = {"16", "8", "k8v4", "4", "pooled", "8,4", "16,8,k8v4,4,pooled", "8,pooled"};
      LevelSet levels = LevelSet.parse(sets[random.nextInt(sets.length)]);
      LevelCosts costs = RateDistortionTest.costs(shape, random);
      double least = floor(shape, levels) / (double) shape.rowBytes();
      double budget =
          switch (random.nextInt(4)) {
            case 0 -> least;
            case 1 -> least * (1 + random.nextDouble());
            default -> least + (1 - least) * random.nextDouble() * random.nextDouble();
          };
      return new Case(shape, costs, levels, Math.min(budget, Math.nextDown(1.0)));
    }

    boolean isFeasible() {
      return floor(shape, levels) <= Math.nextUp(budget) * shape.rowBytes();
    }

    LevelPlan plan() {
      return LevelPlan.of(shape, costs, levels, budget);
    }
  }

  /** Costs that mostly fall with bytes, with ties, exceptions and worse than nothing. */
  private static LevelCosts costs(LevelShape shape, SplittableRandom random) {
    ScheduleShape sizes = shape.sizes();
    long[][][][] sums =
        new long[sizes.scales() - 1][sizes.layers()][sizes.heads()][LevelCosts.LEVELS];
    for (long[][][] source : sums) {
      for (long[][] layer : source) {
        for (long[] head : layer) {
          head[0] = random.nextInt(1 << 20);
          for (int i = 1; i < head.length; i++) {
            head[i] = random.nextInt(5) == 0 ? -random.nextInt(9) : random.nextLong(head[0] + 2);
          }
        }
      }
    }
    return LevelCosts.of(1, sums);
  }

  /** What the first scale takes at its smallest, and the tables of a layer that writes it. */
  private static long floor(LevelShape shape, LevelSet levels) {
    int least =
        levels.levels().stream()
            .mapToInt(level -> level.granules(shape.grids().size(0), shape.headDim()))
            .min()
            .orElseThrow();
    long data = shape.sizes().allHeads() * (long) least * shape.headDim() / 2;
    return data + 4L * (9 * shape.sizes().heads() + 5);
  }

  /** Does what the steps of a plan say, on granules that remember who wrote them last. */
  private static final class Arena {
    private final String name;
    private final LevelShape shape;
    private final StoredAtom[] writers;
    private final boolean[] used;

    Arena(String name, LevelPlan plan) {
      this.name = name;
      shape = plan.sizes();
      writers = new StoredAtom[plan.granules()];
      used = new boolean[plan.granules()];
    }

    int granules(StoredAtom atom) {
      return atom.level().granules(shape.grids().size(atom.atom().source()), shape.headDim());
    }

    /** Fails unless the atom lies there as it was written. */
    void read(StoredAtom atom) {
      for (int granule : places(atom)) {
        if (writers[granule] != atom) {
          fail("%s: %s isn't there, but %s", name, atom, writers[granule]);
        }
      }
    }

    void free(StoredAtom atom) {
      read(atom);
      for (int granule : places(atom)) {
        writers[granule] = null;
      }
    }

    void write(StoredAtom atom) {
      int[] places = places(atom);
      assertThat(places.length).as(name).isEqualTo(granules(atom));
      for (int granule : places) {
        if (writers[granule] == atom) {
          fail("%s: %s has a granule twice", name, atom);
        }
        writers[granule] = atom;
        used[granule] = true;
      }
    }

    boolean isAllUsed() {
      return IntStream.range(0, used.length).allMatch(i -> used[i]);
    }

    private static int[] places(StoredAtom atom) {
      int[] runs = atom.runs();
      return IntStream.range(0, runs.length / 2)
          .flatMap(i -> IntStream.range(runs[2 * i], runs[2 * i] + runs[2 * i + 1]))
          .toArray();
    }
  }

  /** Numbers of a device's table: three for each atom that is named, two for each run. */
  private static int named(List<StoredAtom> atoms) {
    return atoms.stream().mapToInt(atom -> 3 + atom.runs().length).sum();
  }

  /** Bytes of a layer's table. */
  private static long table(LevelStep step, int heads) {
    List<StoredAtom> from = step.moves().stream().map(LevelStep.Move::from).toList();
    List<StoredAtom> to = new ArrayList<>(step.moves().stream().map(LevelStep.Move::to).toList());
    to.addAll(step.writes());
    return 4L * (3 * heads + 5 + to.size() + named(step.reads()) + named(from) + named(to));
  }

  private static void execute(String name, LevelPlan plan) {
    ScheduleShape sizes = plan.shape();
    Arena arena = new Arena(name, plan);
    Map<Atom, StoredAtom> last = new HashMap<>();
    long tables = 0;
    for (int t = 0; t < sizes.scales(); t++) {
      long group = 0;
      int end = 0;
      for (int l = 0; l < sizes.layers(); l++) {
        int layer = l;
        int scale = t;
        String place = name + ", scale " + t + ", layer " + l;
        LevelStep step = plan.step(t, l);
        // By head, then source; nothing comes back.
        assertThat(step.reads())
            .as(place)
            .allMatch(read -> read.atom().layer() == layer && read.atom().source() < scale)
            .allMatch(read -> last.get(read.atom()) == read)
            .isSortedAccordingTo(
                Comparator.<StoredAtom>comparingInt(read -> read.atom().head())
                    .thenComparingInt(read -> read.atom().source()));
        step.reads().forEach(arena::read);
        last.keySet().removeIf(atom -> atom.layer() == layer);
        step.reads().forEach(read -> last.put(read.atom(), read));
        for (LevelStep.Move move : step.moves()) {
          StoredAtom from = move.from();
          StoredAtom to = move.to();
          assertThat(last.put(to.atom(), to)).as(place).isSameAs(from);
          assertThat(to.atom().layer()).as(place).isGreaterThanOrEqualTo(layer);
          assertThat(arena.granules(to)).as(place).isLessThan(arena.granules(from));
          assertThat(to.level().pool()).as(place).isGreaterThanOrEqualTo(from.level().pool());
          arena.free(from);
        }
        for (LevelStep.Move move : step.moves()) {
          arena.write(move.to());
        }
        for (StoredAtom write : step.writes()) {
          assertThat(write.atom().layer()).as(place).isEqualTo(layer);
          assertThat(write.atom().source()).as(place).isEqualTo(scale);
          last.put(write.atom(), write);
          arena.write(write);
        }
        if (t == sizes.scales() - 1) {
          assertThat(step.moves()).as(place).isEmpty();
          assertThat(step.writes()).as(place).isEmpty();
        } else {
          assertThat(plan.live(t, l)).as(place).isBetween(1, plan.granules());
        }
        group += table(step, sizes.heads());
        tables = Math.max(tables, group);
        group = plan.groups(t)[end] == l + 1 ? 0 : group;
        end += group == 0 ? 1 : 0;
      }
      assertThat(end).as(name).isEqualTo(plan.groups(t).length);
      assertThat(plan.seen(t).keySet().stream().filter(atom -> atom.source() == 0))
          .as(name)
          .hasSize(t == 0 ? 0 : sizes.allHeads());
    }
    assertThat(arena.isAllUsed()).as(name).isTrue();
    assertThat(plan.tableBytes()).as(name).isEqualTo(tables);
    LevelPlan.Use use = plan.use();
    assertThat(use.data() + use.numbers() + use.loss()).as(name).isEqualTo(plan.rowBytes());
    assertThat(use.loss()).as(name).isNotNegative();
  }

  @Test
  void randomPlansKeepToTheirBudgetsAndFindWhatTheyStored() {
    int feasible = 0;
    for (long seed = 0; feasible < CASES; seed++) {
      Case random = Case.of(seed);
      if (!random.isFeasible()) {
        assertThatThrownBy(random::plan).isInstanceOf(UserException.class);
        continue;
      }
      feasible++;
      LevelPlan plan = random.plan();
      execute("seed " + seed, plan);
      assertThat((double) plan.rowBytes() + plan.tableBytes())
          .as("seed %d", seed)
          .isLessThanOrEqualTo(random.budget() * random.shape().rowBytes() * (1 + 0x1p-50));
      assertThat((double) plan.tableBytes())
          .as("seed %d", seed)
          .isLessThanOrEqualTo(Math.max(2048, 0.03 * random.budget() * random.shape().rowBytes()));
      assertThat(random.levels().levels())
          .containsAll(plan.seen(plan.shape().scales() - 1).values());
    }
  }

  @Test
  void plansTwiceTheSame() {
    for (long seed = 0; seed < 100; seed++) {
      Case random = Case.of(seed);
      if (!random.isFeasible()) {
        continue;
      }
      assertThat(random.plan().sha256()).as("seed %d", seed).isEqualTo(random.plan().sha256());
    }
  }

  @Test
  void aPlanDoesNotDependOnTheRows() {
    Case random = Case.of(3);
    LevelShape shape = random.shape();
    LevelShape other =
        new LevelShape(shape.sizes(), shape.grids(), shape.headDim(), 3 * shape.rows());
    assertThat(LevelPlan.of(other, random.costs(), random.levels(), random.budget()).sha256())
        .isEqualTo(random.plan().sha256());
  }

  /** The rules that keep or drop, in 16 bits: the arena is their peak, of 8 granules a token. */
  @Test
  void schedulesThatKeepOrDropHaveTheSamePlaces() {
    for (long seed = 0; seed < 400; seed++) {
      RandomCases random = RandomCases.of(seed);
      PruningSchedule schedule =
          PruningSchedule.of(random.shape(), random.orders(), random.budget());
      List<ScaleSize> grids = new ArrayList<>();
      for (int t = 0; t < random.shape().scales(); t++) {
        grids.add(new ScaleSize(1, random.shape().tokens(t)));
      }
      grids.sort(Comparator.comparingInt(ScaleSize::width));
      int[] sorted = grids.stream().mapToInt(ScaleSize::tokens).toArray();
      ScheduleShape sizes =
          new ScheduleShape(
              random.shape().layers(),
              random.shape().heads(),
              sorted,
              random.shape().sinkScales(),
              random.shape().firstSource(),
              random.shape().lastSource());
      LevelShape shape = new LevelShape(sizes, new ScaleGrids(grids), 32, 2);
      double least = RemovedHeads.smallestBudget(sizes);
      schedule = PruningSchedule.of(sizes, random.orders(), Math.max(least, random.budget()));
      LevelPlan plan = LevelPlan.of(shape, schedule);
      CachePlan slots = CachePlan.of(schedule);
      assertThat(plan.granules()).as("seed %d", seed).isEqualTo(8 * slots.capacity());
      for (int t = 0; t < sizes.scales(); t++) {
        assertThat(plan.seen(t)).as("seed %d", seed).isEqualTo(schedule.seen(t));
      }
    }
  }

  private static final String GRIDS = "1x1,2x2,4x4,4x4";

  /** One layer of one head of 32 channels: granules of 16 bytes, costs as given. */
  private static LevelPlan single(double budget, LevelSet levels, double[]... costs) {
    LevelShape shape = LevelShape.of(1, 1, 32, 2, ScaleGrids.parse(GRIDS), 0);
    return LevelPlan.of(shape, costs(costs), levels, budget);
  }

  private static LevelCosts costs(double[]... bySource) {
    long[][][][] sums = new long[bySource.length][1][1][];
    for (int s = 0; s < bySource.length; s++) {
      sums[s][0][0] = sums(bySource[s]);
    }
    return LevelCosts.of(1, sums);
  }

  private static long[] sums(double[] costs) {
    return Arrays.stream(costs).mapToLong(cost -> Math.round(cost / LevelCosts.UNIT)).toArray();
  }

  /** Costs by name; what isn't named costs as much as dropping. */
  private static double[] cost(double dropped, Object... named) {
    double[] costs = new double[LevelCosts.LEVELS];
    Arrays.fill(costs, dropped);
    for (int i = 0; i < named.length; i += 2) {
      for (Level level : Level.ALL) {
        if (level.toString().equals(named[i])) {
          costs[1 + Level.ALL.indexOf(level)] = (double) named[i + 1];
        }
      }
    }
    return costs;
  }

  private static String levels(LevelPlan plan, int scale) {
    StringBuilder text = new StringBuilder();
    for (int s = 0; s < scale; s++) {
      Level level = plan.seen(scale).get(new Atom(s, 0, 0));
      text.append(s == 0 ? "" : " ").append(level == null ? "-" : level);
    }
    return text.toString();
  }

  /**
   * Full: 21 tokens of 8 granules, 168. Granules of the levels: 1x1 16: 8, 8: 6. 2x2 16: 32, 8: 18.
   * 4x4 16: 128, 8: 68, 4: 48, 16:1/2: 32, 8:1/2: 18, 4:1/2: 24.
   *
   * <p>Ways. 1x1: 8, then 16 saves 1 for 2: 0.5. 2x2: 8 saves 9 for 18: 0.5; 16 saves 1 for 14:
   * 0.0714. 4x4: 8:1/2 saves 18 for 18: 1; 16:1/2 lies above the hull; 8 saves 20 for 50: 0.4; 16
   * saves 2 for 60: 0.033. So the list is 6, then 24, 26, 44, 94, 108, 168; tables take 4 to 9.
   */
  @ParameterizedTest
  @CsvSource({
    "0.795, 16 16 8",
    "0.616, 16 8 8",
    // The 4x4 can't have 50 more, but the 2x2 14.
    "0.467, 16 16 8:1/2",
    "0.318, 16 8 8:1/2",
    "0.223, 16 - 8:1/2",
    "0.11, 16 - -",
    "0.0566, 8 - -",
  })
  void byHand(double budget, String expected) {
    LevelPlan plan =
        single(
            budget,
            LevelSet.ALL,
            cost(30, "16", 1.0, "8", 2.0),
            cost(10, "16", 0.0, "8", 1.0),
            cost(40, "16", 0.0, "8", 2.0, "16:1/2", 21.5, "8:1/2", 22.0));
    execute("by hand", plan);
    assertThat(levels(plan, 3)).isEqualTo(expected);
  }

  /** An odd map, of which halves in 16 bits take more than all in 4: they can't be made from it. */
  @Test
  void nothingThatWasPooledBecomesFinerWhileItGoesDown() {
    LevelShape shape = LevelShape.of(1, 1, 32, 2, ScaleGrids.parse("1x1,9x13,9x13"), 0);
    int[][] granules = shape.granules();
    int pooled = 1 + Level.ALL.indexOf(new Level(2, Precision.FLOAT16));
    int fine = 1 + Level.ALL.indexOf(new Level(1, Precision.INT4));
    assertThat(granules[1][pooled]).isEqualTo(280);
    assertThat(granules[1][fine]).isEqualTo(250);
    LevelCosts costs = costs(cost(1), cost(100, "4", 50.0, "16:1/2", 10.0, "16", 0.0));
    LevelList list = new LevelList(shape, costs, LevelSet.ALL);
    List<Integer> way = new ArrayList<>();
    for (int step = 0; step < list.steps(); step++) {
      if (list.code(step) == 1) {
        way.add(list.level(1, list.place(step)));
      }
    }
    assertThat(way).containsExactly(pooled, 1);
  }

  /**
   * Two layers of three heads, in 8 bits: 6 granules of the first scale each, 18 of others. Room
   * for 134. Scale 2 finds 6 x 6 + 3 x 18 = 90, all of layer 1; it leaves 6 x 6 + (3 + 1 + 1) x 18
   * = 126. Layer 0's writing makes 144, unless one atom goes early: head 1, which is worth least.
   */
  @Test
  void laterLayersMakeRoomEarlyWhereTheyLoseLeast() {
    LevelShape shape = LevelShape.of(2, 3, 32, 1, ScaleGrids.parse("1x1,2x2,2x2,2x2"), 0);
    double[][][] worth = {
      {{100, 100, 100}, {100, 100, 100}}, {{0, 0, 0}, {3, 1, 2}}, {{50, 50, 50}, {50, 0, 0}}
    };
    long[][][][] sums = new long[3][2][3][];
    for (int s = 0; s < 3; s++) {
      for (int l = 0; l < 2; l++) {
        for (int h = 0; h < 3; h++) {
          sums[s][l][h] = sums(cost(worth[s][l][h], "8", 0.0));
        }
      }
    }
    double budget = 146 * 16 / (double) shape.rowBytes();
    LevelPlan plan = LevelPlan.of(shape, LevelCosts.of(1, sums), LevelSet.parse("8"), budget);
    execute("early", plan);
    assertThat(plan.live(1, 1)).isEqualTo(90);
    assertThat(plan.live(2, 0)).isEqualTo(126);
    assertThat(plan.live(2, 1)).isEqualTo(126);
    assertThat(plan.seen(2).keySet())
        .filteredOn(atom -> atom.source() == 1)
        .containsExactlyInAnyOrder(new Atom(1, 0, 1), new Atom(1, 2, 1));
    assertThat(plan.seen(3).keySet())
        .filteredOn(atom -> atom.source() == 1)
        .containsExactly(new Atom(1, 0, 1));
  }

  @ParameterizedTest
  @CsvSource({"32, 0", "32, 1", "128, 1"})
  void aBudgetOfTheFloorServesAndLessIsRefused(int headDim, int first) {
    ScaleGrids grids = ScaleGrids.parse(first == 0 ? GRIDS : "2x3,4x4,5x5");
    LevelShape shape = LevelShape.of(3, 2, headDim, 2, grids, 0);
    LevelCosts costs = costs(shape, new SplittableRandom(1));
    long floor = 2 * floor(shape, LevelSet.ALL);
    Budget enough = new Budget.Bytes(floor);
    LevelPlan plan = LevelPlan.of(shape, costs, LevelSet.ALL, enough.ratio(shape.budgetBytes()));
    assertThat(2 * (plan.rowBytes() + plan.tableBytes())).isEqualTo(floor);
    double less = new Budget.Bytes(floor - 2).ratio(shape.budgetBytes());
    assertThatThrownBy(() -> LevelPlan.of(shape, costs, LevelSet.ALL, less))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("budget " + less + " is infeasible")
        .hasMessageContaining("expected at least " + floor + " bytes a picture")
        .hasMessageContaining("% of the full cache");
  }

  @Test
  void aBudgetOfOneKeepsEverythingIn16Bits() {
    Case random = Case.of(5);
    LevelPlan plan = LevelPlan.of(random.shape(), random.costs(), LevelSet.parse("8"), 1);
    execute("full", plan);
    int last = plan.shape().scales() - 1;
    assertThat(plan.seen(last).values()).containsOnly(new Level(1, Precision.FLOAT16));
    assertThat(plan.seen(last)).hasSize(last * plan.shape().allHeads());
    assertThat(plan.rowBytes()).isEqualTo(random.shape().rowBytes());
    assertThat(plan.budget()).isEqualTo(1);
  }

  /** A head of 128 channels: 260 bytes instead of 512 for each token; maps of one run. */
  @Test
  void everythingIn8Bits() {
    LevelShape shape = LevelShape.of(2, 3, 128, 2, ScaleGrids.parse("8x8,16x16,16x16"), 0);
    LevelPlan plan = LevelPlan.fixed(shape, new Level(1, Precision.INT8));
    execute("int8", plan);
    assertThat(plan.rowBytes()).isEqualTo(6 * (64 + 256) * 260);
    assertThat(plan.use().meanRuns()).isEqualTo(1);
    assertThat(plan.budget()).isCloseTo(260 / 512.0, within(1e-3));
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, 1.1, Double.NaN})
  void refusesWhatIsNoRatio(double budget) {
    assertThatThrownBy(() -> single(budget, LevelSet.ALL, cost(1), cost(1), cost(1)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("out of range");
  }

  /** Sizes and costs of Infinity-8B at 1024 x 1024: tables are a small part. */
  @Test
  void infinity8b() {
    LevelShape shape = LevelShape.of(40, 28, 128, 2, LARGE_GRIDS, 0);
    LevelCosts costs = costs(shape, new SplittableRandom(8));
    for (double budget : new double[] {0.0125, 0.1}) {
      LevelPlan plan = LevelPlan.of(shape, costs, LevelSet.ALL, budget);
      execute("8B at " + budget, plan);
      assertThat(plan.tableBytes()).isLessThan((long) (0.03 * budget * shape.rowBytes()));
      assertThat(plan.peakRatio()).isBetween(0.99 * budget, budget);
    }
  }
}
