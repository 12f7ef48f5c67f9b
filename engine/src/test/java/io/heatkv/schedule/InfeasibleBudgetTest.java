package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Budgets that the reference refuses: rightly, or through rounding. */
class InfeasibleBudgetTest {
  private static final Pattern PLACE = Pattern.compile("scale index (\\d+), layer (\\d+)");

  @Test
  void refusedByTheReference() {
    HeadOrders orders = Goldens.orders2b();
    int rounding = 0;
    List<?> cases =
        (List<?>) JsonObject.readDocument(Goldens.file("schedules/infinity-2b_errors.json"));
    for (Object item : cases) {
      Map<?, ?> golden = (Map<?, ?>) item;
      if (golden.containsKey("case")) {
        continue;
      }
      double budget = ((Number) golden.get("budget")).doubleValue();
      Matcher place = PLACE.matcher((String) golden.get("error"));
      if (place.find()) {
        assertFound(orders, budget, Integer.parseInt(place.group(1)));
        rounding++;
      } else {
        assertThatThrownBy(() -> PruningSchedule.of(Goldens.SHAPE_2B, orders, budget))
            .isInstanceOf(UserException.class)
            .hasMessageContaining("budget " + budget)
            .hasMessageContaining(
                budget < 0 || budget > 1 ? "from 0 to 1" : "at least 0.0032684824");
      }
    }
    assertThat(rounding).isEqualTo(4);
  }

  private static void assertFound(HeadOrders orders, double budget, int scale) {
    int[] counts = NaiveSchedule.counts(Goldens.SHAPE_2B, budget);
    PruningSchedule schedule = PruningSchedule.of(Goldens.SHAPE_2B, orders, budget);
    assertThat(schedule.removedHeads(scale + 1)).isEqualTo(counts[scale + 1] + 1);
    for (int t = 0; t <= scale; t++) {
      assertThat(schedule.removedHeads(t)).isEqualTo(counts[t]);
    }
    assertThat((double) schedule.peakTokens()).isLessThanOrEqualTo(schedule.thresholdTokens());
  }

  @Test
  void theSmallestBudgetWorksWhenTyped() {
    for (long seed = 0; seed < 500; seed++) {
      RandomCases random = RandomCases.of(seed);
      double least = RemovedHeads.smallestBudget(random.shape());
      long sink = random.shape().tokensBefore(random.shape().sinkScales());
      assertThat(least)
          .as("seed %s", seed)
          .isBetween(
              sink / (double) random.shape().fullTokens() * (1 - 1e-15),
              sink / (double) random.shape().fullTokens() * (1 + 1e-15));
      double typed = Double.parseDouble(String.valueOf(least));
      PruningSchedule schedule = PruningSchedule.of(random.shape(), random.orders(), typed);
      assertThat(schedule.peakTokens())
          .as("seed %s", seed)
          .isEqualTo(sink * random.shape().allHeads());
      if (sink > 0) {
        double below = Math.nextDown(least);
        assertThatThrownBy(() -> PruningSchedule.of(random.shape(), random.orders(), below))
            .as("seed %s", seed)
            .isInstanceOf(UserException.class)
            .hasMessageEndingWith("expected at least " + least);
      }
    }
  }

  /** Where a whole number of heads fits exactly, no budget may be called infeasible. */
  @Test
  void everyBoundaryIsFeasible() {
    ScheduleShape shape = Goldens.SHAPE_2B;
    double all = shape.allHeads() * (double) shape.fullTokens();
    double least = RemovedHeads.smallestBudget(shape);
    for (int t = 4; t < shape.scales(); t++) {
      for (int kept = 0; kept <= shape.allHeads(); kept++) {
        long tokens = shape.allHeads() * 21L + kept * (shape.tokensBefore(t) - 21);
        for (double budget :
            new double[] {Math.nextDown(tokens / all), tokens / all, Math.nextUp(tokens / all)}) {
          if (budget < least || budget > 1) {
            continue;
          }
          int removed = RemovedHeads.forBudget(shape, budget)[t];
          long total = shape.allHeads() * 21L + (512 - removed) * (shape.tokensBefore(t) - 21);
          BigDecimal allowed = new BigDecimal(budget).multiply(new BigDecimal(all));
          assertThat((double) total)
              .as("budget %s", budget)
              .isLessThanOrEqualTo(budget * 32 * 16 * 6425);
          // At most one head more than exact arithmetic needs.
          assertThat(new BigDecimal(total + 2 * (shape.tokensBefore(t) - 21)))
              .as("budget %s", budget)
              .isGreaterThan(allowed.min(new BigDecimal(tokens)));
        }
      }
    }
  }
}
