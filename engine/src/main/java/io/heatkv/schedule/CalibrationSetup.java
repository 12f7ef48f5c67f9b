package io.heatkv.schedule;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import java.util.List;

/**
 * What a calibration was made with; profiles add up only if all of it but the name agrees.
 *
 * @param model name for people
 * @param fingerprint of the model's weights, lower-case hexadecimal digits
 * @param layers self-attention layers
 * @param heads heads of a layer
 * @param grids grids of the scales
 * @param sinkScales first scales, which are never removed and not scored
 * @param cfg guidance strength of each scale; the last value serves all further scales
 * @param tau temperature of each scale, likewise
 * @param topP nucleus filter
 * @param topK how many of the likeliest choices were drawn from; 0 for all
 * @param headDim channels of a head, even; 0 where unknown, as in profiles of version 1. The
 *     fingerprint tells it too, so it isn't compared
 */
public record CalibrationSetup(
    String model,
    String fingerprint,
    int layers,
    int heads,
    ScaleGrids grids,
    int sinkScales,
    List<Double> cfg,
    List<Double> tau,
    double topP,
    int topK,
    int headDim) {
  private static final int MAX_HEADS = 1 << 20;

  /**
   * @throws UserException if a value is out of range
   */
  public CalibrationSetup {
    cfg = List.copyOf(cfg);
    tau = List.copyOf(tau);
    if (!fingerprint.matches("[0-9a-f]{1,128}")) {
      throw new UserException("the model's fingerprint is wrong; expected hexadecimal digits");
    }
    if (layers < 1 || heads < 1 || (long) layers * heads > MAX_HEADS) {
      throw new UserException(
          layers + " layers of " + heads + " heads are out of range; expected 1 to 2^20 heads");
    }
    if (!isUsable(cfg) || !isUsable(tau) || !(topP > 0 && topP <= 1)) {
      throw new UserException(
          "cfg, tau or top-p are out of range; expected one number or more, top-p in (0, 1]");
    }
    if (topK < 0) {
      throw new UserException("top-k " + topK + " is out of range; expected 0 or more");
    }
    if (headDim < 0 || headDim % 2 != 0) {
      throw new UserException(
          headDim + " channels of a head are out of range; expected an even number");
    }
    if (sinkScales < 0 || sinkScales > grids.count() - 2) {
      throw new UserException(
          "sink scales "
              + sinkScales
              + " leave none to score of "
              + grids.count()
              + " scales; expected 0 to the number of scales - 2");
    }
  }

  /** A setup that draws from all choices, of which the head dimension isn't known. */
  public CalibrationSetup(
      String model,
      String fingerprint,
      int layers,
      int heads,
      ScaleGrids grids,
      int sinkScales,
      List<Double> cfg,
      List<Double> tau,
      double topP) {
    this(model, fingerprint, layers, heads, grids, sinkScales, cfg, tau, topP, 0, 0);
  }

  private static boolean isUsable(List<Double> values) {
    return !values.isEmpty() && values.stream().allMatch(Double::isFinite);
  }

  /** The same setup under another name. */
  public CalibrationSetup named(String name) {
    return new CalibrationSetup(
        name, fingerprint, layers, heads, grids, sinkScales, cfg, tau, topP, topK, headDim);
  }

  /** The same setup of other weights. */
  public CalibrationSetup fingerprinted(String other) {
    return new CalibrationSetup(
        model, other, layers, heads, grids, sinkScales, cfg, tau, topP, topK, headDim);
  }

  /**
   * Makes sure that profiles can be added up.
   *
   * @param here name of the profile with this setup
   * @param there name of the other profile
   * @throws UserException naming both sides of the first difference
   */
  public void requireSame(CalibrationSetup other, String here, String there) {
    requireSameAtoms(other, here, there);
    String settings = "model and settings";
    require("sink scales", sinkScales, other.sinkScales, here, there, settings);
    require("cfg", cfg, other.cfg, here, there, settings);
    require("tau", tau, other.tau, here, there, settings);
    require("top-p", topP, other.topP, here, there, settings);
    require("top-k", topK, other.topK, here, there, settings);
  }

  /** As above for profiles to be compared: of the same model and scales, whatever was drawn. */
  public void requireSameAtoms(CalibrationSetup other, String here, String there) {
    String atoms = "model and scales";
    require("model fingerprint", fingerprint, other.fingerprint, here, there, atoms);
    require("layers", layers, other.layers, here, there, atoms);
    require("heads", heads, other.heads, here, there, atoms);
    require("scales", grids.toString(), other.grids.toString(), here, there, atoms);
  }

  private static void require(
      String what, Object mine, Object others, String here, String there, String same) {
    if (!mine.equals(others)) {
      throw new UserException(
          "%s has %s %s, but %s has %s; only calibrations of the same %s go together"
              .formatted(here, what, mine, there, others, same));
    }
  }
}
