package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.EvictionRule;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PolicyCases;
import io.heatkv.error.UserException;
import io.heatkv.profile.ScaleKvBudgets;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The budgets that ScaleKV's authors publish for Infinity-2B. */
class ScaleKvBudgetsTest {
  private static final Path FILE = TestDevice.resource("/scalekv/infinity-2b-10.json");
  private static final ScaleGrids SCALES =
      ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64");
  private static final KvShape SHAPE = new KvShape(32, 2, 2, 16, 128, DType.BF16, SCALES);

  @TempDir private Path folder;

  @Test
  void saysWhichLayersAreDrafters() {
    ScaleKvBudgets budgets = ScaleKvBudgets.read(FILE, 32, 13);
    for (int l = 0; l < 32; l++) {
      assertThat(budgets.isDrafter(7, l)).isFalse();
      assertThat(budgets.isDrafter(8, l)).isEqualTo(l == 0 || l == 23);
      assertThat(budgets.isDrafter(12, l)).isEqualTo(l == 0);
    }
    // (2 * 920 + 30 * 632) / 32 = 650
    assertThat(budgets.drafterShare(8)).isEqualTo(920 / 650.0);
    assertThat(budgets.drafterShare(12)).isEqualTo(6385 / 650.0);
  }

  @Test
  void fitsEveryBudgetThatIsAsked() {
    for (double budget : new double[] {0.04, 0.1, 0.2, 1}) {
      PolicyInputs inputs =
          new PolicyInputs(
              new Budget.Ratio(budget),
              SHAPE,
              Optional.of(FILE),
              () -> {
                throw new AssertionError("no profile is needed");
              });
      EvictionRule rule = ScaleKv.of(inputs);
      KvPlan plan = new EvictionPolicy("scalekv", rule, budget, KvStorage.NATIVE).plan(SHAPE);
      assertThat(plan.bytes()).isLessThanOrEqualTo((long) (budget * SHAPE.fullBytes()));
      assertThat(plan.peakBytes()).isBetween((long) (0.75 * plan.bytes()), plan.bytes());
      int drafter = PolicyCases.quota(rule, SHAPE, budget, 11, 0, 5);
      int refiner = PolicyCases.quota(rule, SHAPE, budget, 11, 1, 5);
      if (budget == 1) {
        assertThat(drafter).isEqualTo(refiner).isEqualTo(6425);
      } else {
        assertThat(drafter).isGreaterThan(4 * refiner);
      }
      assertThat(PolicyCases.quota(rule, SHAPE, budget, 11, 23, 0)).isEqualTo(refiner);
    }
  }

  @Test
  void refusesTheFileOfAnotherModel() throws IOException {
    assertThatThrownBy(() -> ScaleKvBudgets.read(FILE, 40, 13))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("Block 32 is missing");
    assertThatThrownBy(() -> ScaleKvBudgets.read(FILE, 16, 13))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("more than the model's 16 layers");
    assertThatThrownBy(() -> ScaleKvBudgets.read(FILE, 32, 12))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("Scale 13; expected Scale 1 to Scale 12");
    assertThatThrownBy(() -> ScaleKvBudgets.read(FILE, 32, 14))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("no budgets of scale 14");
    Path other = folder.resolve("other.json");
    Files.writeString(other, "{\"format\": \"heatkv-profile\"}");
    assertThat(ScaleKvBudgets.isIn(other)).isFalse();
  }
}
