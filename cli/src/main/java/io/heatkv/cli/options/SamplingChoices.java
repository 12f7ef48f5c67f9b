package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say how tokens are drawn. */
public final class SamplingChoices {
  @Option(
      names = "--cfg",
      split = ",",
      paramLabel = "X",
      description =
          "Strength of classifier-free guidance: one number, or one for each scale; 1 is none, 0 where"
              + " guidance grows with the scale. Default: the model's own.")
  List<Double> cfg = List.of();

  @Option(
      names = "--tau",
      split = ",",
      paramLabel = "X",
      description = "Temperature, likewise; above 0. Default: the model's own.")
  List<Double> tau = List.of();

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description =
          "Draw one of the K likeliest choices only; 0 is no filter. Default: the model's own.")
  @Nullable Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Never draw the least likely choices, which together have at most 1 - P. Default: the"
              + " model's own.")
  @Nullable Double topP;

  @Option(
      names = "--argmax",
      description = "Take the likeliest choice instead of drawing: no seed matters.")
  boolean argmax;

  @Option(
      names = "--cfg-layer",
      split = ",",
      paramLabel = "N",
      description =
          "Where guidance is applied (cfg_insertion_layer): 0 on the logits, -1 after the last"
              + " block, -2 after the one before, … Default: 0.")
  List<Integer> cfgLayers = List.of(0);

  /**
   * The options with the model's defaults.
   *
   * @throws UserException if a value is out of range or there are more values than scales
   */
  public SamplingOptions with(ModelDescription model, ScaleGrids grids) {
    return with(model, model.cfg(), model.tau(), grids);
  }

  /** As above with other defaults of guidance and temperature than the model's. */
  public SamplingOptions with(
      ModelDescription model, double standardCfg, double standardTau, ScaleGrids grids) {
    requireAtMost(grids.count(), cfg, "cfg");
    requireAtMost(grids.count(), tau, "tau");
    int layers = model.kvShape(DType.F32, grids).layers();
    for (int layer : cfgLayers) {
      if (layer > 0 || layer < -layers) {
        throw new UserException(
            "cfg layer "
                + layer
                + " is out of range; expected 0 (the logits) or -1 (the last block) to -"
                + layers);
      }
    }
    Set<Integer> blocks =
        cfgLayers.stream().filter(layer -> layer < 0).collect(Collectors.toUnmodifiableSet());
    SamplingOptions own = model.sampling();
    return new SamplingOptions(
        cfg.isEmpty() ? List.of(standardCfg) : cfg,
        tau.isEmpty() ? List.of(standardTau) : tau,
        topK == null ? own.topK() : topK,
        topP == null ? own.topP() : topP,
        argmax,
        cfgLayers.contains(0),
        blocks,
        own.neutralCfg());
  }

  private static void requireAtMost(int scales, List<Double> values, String name) {
    if (values.size() > scales) {
      throw new UserException(
          name + " has " + values.size() + " values, but the picture has " + scales + " scales");
    }
  }
}
