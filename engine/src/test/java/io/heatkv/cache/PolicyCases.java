package io.heatkv.cache;

import io.heatkv.TestDevice;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.LevelSet;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/** Inputs of the policy tests. */
public final class PolicyCases {
  private PolicyCases() {}

  public static PolicyInputs inputs(KvShape shape, double budget, long seed) {
    return new PolicyInputs(
        new Budget.Ratio(budget),
        shape,
        Optional.empty(),
        () -> profile(shape, seed),
        LevelSet.ALL,
        KvStorage.NATIVE);
  }

  /** A finished calibration with random results. */
  public static CalibrationProfile profile(KvShape shape, long seed) {
    ScaleGrids grids = shape.grids();
    Random random = new Random(seed);
    double[][][][] masses = new double[grids.count()][grids.count()][shape.layers()][shape.heads()];
    for (double[][][] target : masses) {
      for (double[][] source : target) {
        for (double[] layer : source) {
          for (int h = 0; h < layer.length; h++) {
            layer[h] = random.nextDouble() / grids.count();
          }
        }
      }
    }
    CalibrationSetup setup =
        new CalibrationSetup(
            "test",
            "ab",
            shape.layers(),
            shape.heads(),
            grids,
            2,
            List.of(3.0),
            List.of(1.0),
            0.97,
            0,
            shape.headDim());
    double[][][][] levels = new double[grids.count() - 1][shape.layers()][shape.heads()][];
    for (double[][][] source : levels) {
      for (double[][] layer : source) {
        Arrays.setAll(layer, _ -> numbers(random, 1, LevelCosts.LEVELS)[0]);
      }
    }
    return CalibrationProfile.start(setup, PromptSet.of(List.of("a cat"), 0))
        .plus(
            new PromptMeasurement(
                masses,
                Optional.of(
                    new PromptStatistics(
                        numbers(random, grids.count(), shape.layers()),
                        numbers(random, shape.layers(), shape.heads()),
                        numbers(random, 1, shape.layers())[0])),
                masses[grids.count() - 1],
                levels));
  }

  private static double[][] numbers(Random random, int rows, int columns) {
    double[][] numbers = new double[rows][columns];
    for (double[] row : numbers) {
      Arrays.setAll(row, _ -> random.nextDouble());
    }
    return numbers;
  }

  /** Opens the cache that drops tokens, also where nothing is to be dropped. */
  public static KvCache open(EvictionPolicy policy, KvShape shape) {
    return policy.evicting(TestDevice.backend(), TestDevice.device(), shape);
  }

  /** Tokens that a head of such a cache holds for a row, ascending. */
  public static int[] tokens(KvCache cache, int layer, int head, int row) {
    return ((EvictionCache) cache).tokens(layer, head, row);
  }

  /** Tokens that a head keeps after a scale under a budget. */
  public static int quota(
      EvictionRule rule, KvShape shape, double budget, int scale, int layer, int head) {
    long capacity = (long) (budget * Quotas.allTokens(shape));
    return Quotas.fit("test", rule, shape, KvStorage.NATIVE, capacity).count(scale, layer, head);
  }

  /** A rule that looks at attention, and can't after a scale. */
  static AttentionRule failing(int scale) {
    return new AttentionRule() {
      @Override
      public int[] window(ScaleSize map) {
        return new int[] {0};
      }

      @Override
      public Tensor scores(ObservedCandidates candidates) {
        if (candidates.scale() == scale) {
          throw new IllegalStateException("no scores");
        }
        return candidates.attention();
      }
    };
  }

  public static float[] gaussian(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  public static Tensor tensor(float[] values, KvShape shape, int tokens) {
    return Tensor.of(
            TestDevice.backend(), values, shape.batch(), shape.heads(), tokens, shape.headDim())
        .to(shape.dtype())
        .to(TestDevice.device());
  }

  public static KvShape shape(int layers, int batch, int heads, ScaleGrids grids) {
    return new KvShape(layers, batch, 1, heads, 8, DType.F32, grids);
  }
}
