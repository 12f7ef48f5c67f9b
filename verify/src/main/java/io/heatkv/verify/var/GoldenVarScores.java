package io.heatkv.verify.var;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.calibrate.Observation;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import io.heatkv.verify.RecordedMethod;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/** Calibration of VAR: attention masses, scores and head orders over the recorded labels. */
public final class GoldenVarScores implements GoldenReader {
  // The recorded run.
  private static final double CFG = 1.5;

  @Override
  public boolean isIn(Golden golden) {
    return GoldenVar.isIn(golden)
        && GoldenVar.variants(golden).stream().anyMatch(variant -> golden.has(file(variant)));
  }

  private static String file(String variant) {
    return "scas_" + variant + ".safetensors";
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    for (String variant : GoldenVar.variants(golden)) {
      if (golden.has(file(variant))) {
        try (GoldenVar var = GoldenVar.open(golden, variant);
            Checkpoint recorded = golden.open(file(variant))) {
          verify(golden, var, recorded, "calibration " + variant, checks);
        }
      }
    }
  }

  private static void verify(
      Golden golden, GoldenVar var, Checkpoint recorded, String label, Consumer<Check> checks) {
    ScheduleShape shape = var.shape();
    int scales = shape.scales();
    if (!Arrays.equals(
        recorded.entry("scores").shape(), new long[] {shape.layers(), shape.heads(), scales})) {
      throw new UserException(
          recorded.path() + ": tensor scores is of other layers, heads or scales");
    }
    List<PictureRequest> pictures = var.pictures(CFG, true);
    HeadScores scores = HeadScores.none(shape.layers(), shape.heads(), scales, var.sinks());
    double[] mass = Comparison.values(golden.backend(), recorded, "mass");
    Comparison masses = new Comparison(label + " masses", 5e-6);
    for (int i = 0; i < pictures.size(); i++) {
      double[][][][] own = masses(var, pictures.get(i));
      scores = scores.plus(own);
      for (int target = var.sinks() + 1; target < scales; target++) {
        for (int source = var.sinks(); source < target; source++) {
          for (int layer = 0; layer < shape.layers(); layer++) {
            for (int head = 0; head < shape.heads(); head++) {
              int row = (i * shape.layers() + layer) * shape.heads() + head;
              int at = (row * scales + target) * scales + source;
              masses.add(
                  new double[] {own[target][source][layer][head]},
                  new double[] {mass[at]},
                  recorded.path() + ": tensor mass");
            }
          }
        }
      }
    }
    masses.report(checks);
    // The recording's own tolerance is for a CPU; on CUDA all sums go in another order.
    double tolerance = golden.device().isCuda() ? 2e-6 : 1e-6;
    Comparison values = new Comparison(label + " scores", tolerance);
    values.add(
        RecordedMethod.values(scores),
        Comparison.values(golden.backend(), recorded, "scores"),
        recorded.path() + ": tensor scores");
    values.report(checks);
    if (var.hasOrders()) {
      RecordedMethod.orders(label, scores.orders(), var.orders(), checks);
    }
  }

  private static double[][][][] masses(GoldenVar var, PictureRequest picture) {
    Observation observation = new Observation(var.sinks(), false);
    GenerationRequest request = new GenerationRequest(List.of(picture), var.grids(), observation);
    try (Conditioning label = var.model().encode(request.pictures(), true);
        Generation generation = Generation.open(var.model(), label, request, null, observation)) {
      while (!generation.isDone()) {
        generation.step();
      }
    }
    return observation.measurement().masses();
  }
}
