package io.heatkv.verify.infinity;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.calibrate.Observation;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.BitSampler;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadScores;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import io.heatkv.verify.RecordedMethod;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Calibration: attention masses, scores and head orders over the recorded prompts. */
public final class GoldenScores implements GoldenReader {
  private static final Pattern FILE = Pattern.compile("scas_(\\d{1,2}\\.?\\d{0,5})\\.safetensors");

  @Override
  public boolean isIn(Golden golden) {
    return GoldenInfinity.isIn(golden)
        && golden.files(FILE).stream().anyMatch(file -> golden.has(full(file)));
  }

  /** The run with the same template, whose logits tell the guidance. */
  private static String full(String file) {
    return file.replaceFirst("scas", "full");
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    try (GoldenInfinity infinity = GoldenInfinity.open(golden)) {
      for (String file : golden.files(FILE)) {
        Matcher name = FILE.matcher(file);
        if (name.matches() && golden.has(full(file))) {
          try (Checkpoint recorded = golden.open(file);
              Checkpoint run = golden.open(full(file))) {
            int scales = GoldenTransformer.scales(run);
            List<Double> cfg = GoldenTransformer.guidance(run, golden.backend(), scales);
            new Run(
                    infinity,
                    recorded,
                    infinity.grids(name.group(1), scales),
                    cfg,
                    infinity.nearTies(file))
                .verify(golden, name.group(1), checks);
          }
        }
      }
    }
  }

  /** One file: all prompts on one template. */
  record Run(
      GoldenInfinity infinity,
      Checkpoint recorded,
      ScaleGrids grids,
      List<Double> cfg,
      Map<Integer, Set<Integer>> nearTies) {
    void verify(Golden golden, String template, Consumer<Check> checks) {
      String label = "calibration " + template;
      Comparison bits = new Comparison(label + " bits", 0);
      TransformerConfig config = infinity.config();
      double[] expected = Comparison.values(golden.backend(), recorded, "scores");
      int scales = grids.count();
      if (!Arrays.equals(
          recorded.entry("scores").shape(), new long[] {config.depth(), config.heads(), scales})) {
        throw new UserException(
            recorded.path() + ": tensor scores is of other layers, heads or scales");
      }
      int sinks = sinkScales(expected, scales);
      HeadScores scores = HeadScores.none(config.depth(), config.heads(), scales, sinks);
      for (int prompt = 0; prompt < infinity.prompts(); prompt++) {
        scores = scores.plus(masses(prompt, sinks, bits));
      }
      bits.report(checks);
      Comparison values = new Comparison(label + " scores", 1e-6);
      values.add(RecordedMethod.values(scores), expected, recorded.path() + ": tensor scores");
      values.report(checks);
      String orders = "scas_" + template + "_orders.json";
      if (golden.has(orders)) {
        RecordedMethod.orders(
            label,
            scores.orders(),
            HeadOrders.parse(
                orders,
                JsonObject.readList(golden.folder().resolve(orders)),
                config.depth(),
                config.heads(),
                sinks,
                scales - 2),
            checks);
      }
    }

    /** Sources without a score at the beginning. */
    private static int sinkScales(double[] scores, int scales) {
      int sinks = 0;
      while (sinks < scales - 2 && Double.isNaN(scores[sinks])) {
        sinks++;
      }
      return sinks;
    }

    private double[][][][] masses(int prompt, int sinks, Comparison bits) {
      SamplingOptions sampling =
          new SamplingOptions(cfg, List.of(1.0), 0, 1, true, true, Set.of(), 1);
      Observation observation = new Observation(sinks, false);
      GenerationRequest request =
          new GenerationRequest(
              List.of(new PictureRequest(String.valueOf(prompt), 0, sampling)), grids, observation);
      TokenChooser chooser = (scale, logits) -> choose(prompt, scale, logits, bits);
      try (Conditioning text = infinity.model().encode(request.pictures(), sampling.isGuided());
          Generation generation =
              Generation.open(infinity.model(), text, request, chooser, observation)) {
        while (!generation.isDone()) {
          generation.step();
        }
      }
      return observation.measurement().masses();
    }

    /** The more likely bits, compared with the recorded ones. */
    private Tensor choose(int prompt, int scale, Tensor logits, Comparison bits) {
      Tensor own = BitSampler.argmax(logits);
      String name = "bits.prompt" + prompt + "." + scale;
      return recorded.find(name).isEmpty()
          ? own
          : bits.addBits(own, recorded, name, nearTies.getOrDefault(scale, Set.of()));
    }
  }
}
