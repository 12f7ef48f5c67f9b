package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The schedule against sets of atoms. */
class NaiveScheduleTest {
  private static void assertSame(
      String name, ScheduleShape shape, HeadOrders orders, double budget) {
    NaiveSchedule naive = NaiveSchedule.of(shape, orders, budget);
    PruningSchedule schedule = PruningSchedule.of(shape, orders, budget);
    String label = name + ", budget " + budget;
    for (int t = 0; t < shape.scales(); t++) {
      assertThat(schedule.removedHeads(t)).as(label).isEqualTo(naive.counts[t]);
      assertThat(schedule.removedAt(t)).as(label).containsExactlyElementsOf(naive.removedAt(t));
      assertThat(schedule.finalRemoved(t))
          .as(label)
          .containsExactlyElementsOf(naive.finals.get(t).stream().sorted().toList());
      for (int l = 0; l < shape.layers(); l++) {
        assertThat(schedule.early(t, l))
            .as(label)
            .isEqualTo(naive.early.get(t).getOrDefault(l, List.of()));
        if (t < shape.scales() - 1) {
          assertThat(schedule.total(t, l)).as(label).isEqualTo(naive.totals.get(t).get(l));
        }
      }
    }
    assertThat((double) schedule.peakTokens())
        .as(label)
        .isLessThanOrEqualTo(schedule.thresholdTokens());
  }

  @Test
  void randomShapes() {
    for (long seed = 0; seed < 3000; seed++) {
      RandomCases random = RandomCases.of(seed);
      assertSame("seed " + seed, random.shape(), random.orders(), random.budget());
    }
  }

  @Test
  void infinity2b() {
    HeadOrders orders = Goldens.orders2b();
    SplittableRandom random = new SplittableRandom(2);
    double least = RemovedHeads.smallestBudget(Goldens.SHAPE_2B);
    for (double budget : new double[] {least, 0.004, 0.01, 0.0375, 0.25, 0.33, 0.75, 0.999, 1}) {
      assertSame("2B", Goldens.SHAPE_2B, orders, budget);
    }
    for (int i = 0; i < 6; i++) {
      assertSame("2B", Goldens.SHAPE_2B, orders, Math.pow(least, random.nextDouble()));
    }
  }

  @Test
  void infinity8b() {
    HeadOrders orders = Goldens.orders8b();
    SplittableRandom random = new SplittableRandom(8);
    double least = RemovedHeads.smallestBudget(Goldens.SHAPE_8B);
    for (double budget : new double[] {least, 0.05, 0.1, 0.5}) {
      assertSame("8B", Goldens.SHAPE_8B, orders, budget);
    }
    for (int i = 0; i < 3; i++) {
      assertSame("8B", Goldens.SHAPE_8B, orders, Math.pow(least, random.nextDouble()));
    }
  }
}
