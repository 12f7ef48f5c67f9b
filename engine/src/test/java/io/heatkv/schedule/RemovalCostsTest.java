package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RemovalCostsTest {
  private static final CalibrationSetup SETUP =
      new CalibrationSetup(
          "m",
          "ab",
          2,
          2,
          ScaleGrids.parse("1x1,2x2,3x3,4x4"),
          1,
          List.of(3.0),
          List.of(1.0),
          1,
          0,
          32);
  private static final LevelShape SIZES = LevelShape.of(2, 2, 0, 2, SETUP.grids(), 1);
  private static final ScheduleShape SHAPE = SIZES.sizes();
  // [source][layer][head]; the first scale is a sink
  private static final double[][][] COSTS = {
    {{7, 7}, {7, 7}}, {{4, 1}, {10, 0}}, {{18, 0.9}, {12, -1}}
  };

  @TempDir private Path folder;

  private static CalibrationProfile start(String... prompts) {
    return CalibrationProfile.start(SETUP, PromptSet.of(List.of(prompts), 0));
  }

  private static CalibrationProfile plus(CalibrationProfile profile, double factor) {
    double[][][] costs =
        Arrays.stream(COSTS)
            .map(source ->
                Arrays.stream(source)
                    .map(layer -> Arrays.stream(layer).map(cost -> cost * factor).toArray())
                    .toArray(double[][]::new))
            .toArray(double[][][]::new);
    return profile.plus(
        new PromptMeasurement(
            new double[4][4][2][2],
            Optional.empty(),
            costs,
            new double[3][2][2][LevelCosts.LEVELS]));
  }

  /** Costs times the first layer's cube root of 2, for each token: 2.52, 2.5, 1.33, 1.26 ... */
  @Test
  void ordersByCostForEachToken() {
    int[] order = plus(start("a"), 1).removalCosts().order(SHAPE);
    assertThat(Arrays.stream(order).mapToObj(SHAPE::atom))
        .containsExactly(
            new Atom(2, 0, 0),
            new Atom(1, 0, 1),
            new Atom(2, 0, 1),
            new Atom(1, 0, 0),
            new Atom(1, 1, 0),
            new Atom(2, 1, 0),
            new Atom(1, 1, 1),
            new Atom(2, 1, 1));
  }

  /** Full: 4 heads x 14 tokens = 56. Of 28, sinks take 4; 9 + 4 + 9 fit, 4 more don't. */
  @Test
  void greedyKeepsTheFirstThatFit() {
    CacheSchedule schedule =
        Allocation.GREEDY.schedule(SIZES, plus(start("a"), 1), 0.5, LevelSet.ALL);
    Set<Atom> kept = schedule.seen(3).keySet();
    assertThat(
            IntStream.range(SHAPE.allHeads(), 3 * SHAPE.allHeads())
                .mapToObj(SHAPE::atom)
                .filter(atom -> !kept.contains(atom)))
        .containsExactlyInAnyOrder(
            new Atom(1, 0, 0),
            new Atom(1, 1, 0),
            new Atom(2, 1, 0),
            new Atom(1, 1, 1),
            new Atom(2, 1, 1));
  }

  @Test
  void mergingAddsUpExactlyInAnyOrder() throws IOException {
    CalibrationProfile a = plus(start("a"), 0.1);
    CalibrationProfile b = plus(start("b"), 0.3);
    Path ab = folder.resolve("ab.json");
    Path ba = folder.resolve("ba.json");
    CalibrationProfile.merge(List.of(a, b)).write(ab);
    CalibrationProfile.merge(List.of(b, a)).write(ba);
    assertThat(Files.readString(ab)).isEqualTo(Files.readString(ba));
    RemovalCosts read = CalibrationProfile.read(ab).removalCosts();
    assertThat(read.cost(2, 0, 0)).isCloseTo(3.6, within(1e-8));
  }

  @Test
  void aResumedCalibrationEndsInTheSameDigits() throws IOException {
    Path partial = folder.resolve("p.partial");
    PromptSet set = PromptSet.of(List.of("a", "b"), 0);
    plus(start("a", "b"), 0.1).write(partial);
    Path resumed = folder.resolve("resumed.json");
    plus(CalibrationProfile.resume(partial, SETUP, set), 0.3).write(resumed);
    Path whole = folder.resolve("whole.json");
    plus(plus(start("a", "b"), 0.1), 0.3).write(whole);
    assertThat(Files.readString(resumed)).isEqualTo(Files.readString(whole));
  }

  @Test
  void profilesWithoutThemServeThePapersRuleAlone() {
    Path file = folder.resolve("old.json");
    start("a").plus(new double[4][4][2][2]).write(file);
    CalibrationProfile old = CalibrationProfile.read(file);
    assertThat(Allocation.PAPER.schedule(SIZES, old, 0.5, LevelSet.ALL).budget()).isEqualTo(0.5);
    assertThatThrownBy(() -> Allocation.GREEDY.schedule(SIZES, old, 0.5, LevelSet.ALL))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file + " has no removal costs")
        .hasMessageContaining("calibrate again, or choose allocation paper");
    CalibrationProfile merged = CalibrationProfile.merge(List.of(old, plus(start("b"), 1)));
    assertThatThrownBy(merged::removalCosts).isInstanceOf(UserException.class);
  }

  @Test
  void refusesCostsThatAreNoNumbers() {
    assertThatThrownBy(() -> plus(start("a"), Double.NaN))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("costs NaN");
  }
}
