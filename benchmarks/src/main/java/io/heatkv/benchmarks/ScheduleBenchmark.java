package io.heatkv.benchmarks;

import io.heatkv.bench.RandomLevelCosts;
import io.heatkv.bench.RandomOrders;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.LevelPlan;
import io.heatkv.schedule.LevelSet;
import io.heatkv.schedule.LevelShape;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * From head orders to a schedule and to slots, and from level costs to a plan with its places, for
 * Infinity-8B's 40 layers of 28 heads at 1024 × 1024. Baseline: the reference takes 600 to 2,600 ms
 * for the schedule.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class ScheduleBenchmark {
  private static final ScaleGrids LARGE_GRIDS =
      ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64");
  private static final int LAYERS = 40;
  private static final int HEADS = 28;
  private static final int HEAD_DIM = 128;
  private static final int SINK_SCALES = 3;

  @Param({"0.3", "0.1", "0.05"})
  public double budget;

  private final ScheduleShape shape;
  private final HeadOrders orders;
  private final LevelShape levels;
  private final LevelCosts costs;

  public ScheduleBenchmark() {
    shape = ScheduleShape.of(LAYERS, HEADS, LARGE_GRIDS, SINK_SCALES);
    orders = RandomOrders.of(shape, 1);
    levels = LevelShape.of(LAYERS, HEADS, HEAD_DIM, 2, LARGE_GRIDS, SINK_SCALES);
    costs = RandomLevelCosts.of(shape, 1);
  }

  @Benchmark
  public PruningSchedule schedule() {
    return PruningSchedule.of(shape, orders, budget);
  }

  @Benchmark
  public CachePlan scheduleAndSlots() {
    return CachePlan.of(PruningSchedule.of(shape, orders, budget));
  }

  @Benchmark
  public LevelPlan levelsAndPlaces() {
    return LevelPlan.of(levels, costs, LevelSet.ALL, budget);
  }
}
