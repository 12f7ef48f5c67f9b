package io.heatkv.calibrate;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvParts;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.family.ScaleObserver;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One picture that is drawn with the full cache and measured meanwhile: the policy and the observer
 * of its generation.
 */
public final class Observation implements CachePolicy, ScaleObserver {
  private final int sinkScales;
  private final boolean peers;
  private double[][][][] masses = {};
  private @Nullable ObservedCache cache;
  private @Nullable PromptMeasurement measurement;

  /**
   * @param sinkScales first scales, which are never removed and so not measured
   * @param peers whether to measure what other policies are calibrated by too, which takes longer
   */
  public Observation(int sinkScales, boolean peers) {
    this.sinkScales = sinkScales;
    this.peers = peers;
  }

  @Override
  public String name() {
    return "calibration";
  }

  @Override
  public KvPlan plan(KvShape shape) {
    long bytes = shape.fullBytes();
    return new KvPlan(
        bytes, KvParts.NONE, bytes, 0, (backend, device) -> open(backend, device, shape));
  }

  private KvCache open(Backend backend, Device device, KvShape shape) {
    masses = new double[shape.grids().count()][][][];
    cache =
        new ObservedCache(
            backend, device, shape, sinkScales, (target, mass) -> masses[target] = mass, peers);
    return cache;
  }

  @Override
  public void scaleDone(int scale, Tensor tokens, Tensor canvas) {
    // Afterwards the generation frees the cache.
    if (scale == masses.length - 1 && cache != null) {
      measurement =
          new PromptMeasurement(
              masses, cache.statistics(), cache.removalCosts(), cache.levelCosts());
    }
  }

  /**
   * What was measured.
   *
   * @throws IllegalStateException if the picture isn't drawn
   */
  public PromptMeasurement measurement() {
    if (measurement == null) {
      throw new IllegalStateException("the picture isn't drawn");
    }
    return measurement;
  }
}
