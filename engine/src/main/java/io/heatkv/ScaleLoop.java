package io.heatkv;

import io.heatkv.cache.KvCache;
import io.heatkv.infinity.Condition;
import io.heatkv.infinity.GenerationPass;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.LayerGuidance;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.sample.BitChooser;
import io.heatkv.sample.BitNoise;
import io.heatkv.sample.BitSampler;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Draws codes scale by scale (autoregressive_infer_cfg): logits, bits, codes, the next scale's
 * input.
 */
public final class ScaleLoop {
  private final InfinityTransformer transformer;
  private final MultiScaleBsq quantizer;

  public ScaleLoop(InfinityTransformer transformer, MultiScaleBsq quantizer) {
    this.transformer = transformer;
    this.quantizer = quantizer;
  }

  /**
   * @param condition of the conditional rows, then as many unconditional ones if guided
   * @param seeds one for each picture; unused with argmax
   * @param cache for this generation
   * @return summed codes of all scales [batch, channels, rows, columns], float32, in the enclosing
   *     scope
   */
  public Tensor run(
      Condition condition,
      ScaleSchedule schedule,
      SamplingOptions sampling,
      long[] seeds,
      KvCache cache,
      ScaleObserver observer) {
    BitChooser chooser =
        sampling.argmax()
            ? (scale, logits) -> BitSampler.argmax(logits)
            : (scale, logits) ->
                BitSampler.sample(logits, noise(logits, seeds, scale), sampling.topP());
    return run(condition, schedule, sampling, seeds.length, chooser, cache, observer);
  }

  /**
   * As above with other rules for the bits.
   *
   * @param batch pictures: conditional rows
   * @param chooser takes the place of the sampling's seeds, top-p and argmax
   */
  public Tensor run(
      Condition condition,
      ScaleSchedule schedule,
      SamplingOptions sampling,
      int batch,
      BitChooser chooser,
      KvCache cache,
      ScaleObserver observer) {
    try (Scope scope = Scope.open()) {
      Tensor rotary = transformer.rotary(schedule);
      GenerationPass pass =
          new GenerationPass(condition, schedule, rotary, cache, observer.attention());
      Tensor sum = quantizer.empty(schedule, batch, rotary);
      for (int t = 0; t < schedule.count(); t++) {
        try (Scope _ = Scope.open()) {
          Tensor codes = t == 0 ? null : quantizer.nextInput(sum, schedule.size(t));
          Tensor logits = logits(pass, t, codes, sampling, batch, observer);
          Tensor bits = chooser.choose(t, logits);
          quantizer.accumulate(sum, quantizer.codes(bits, schedule.size(t)));
          observer.scaleDone(t, bits, sum);
        }
      }
      return scope.keep(sum);
    }
  }

  private Tensor logits(
      GenerationPass pass,
      int scale,
      @Nullable Tensor codes,
      SamplingOptions sampling,
      long batch,
      ScaleObserver observer) {
    if (codes != null) {
      observer.codeInput(scale, codes);
    }
    Tensor x = transformer.embed(pass.condition(), scale, codes);
    observer.blockInput(scale, x);
    transformer.blocks(x, pass, scale, layerGuidance(sampling, scale));
    Tensor raw = transformer.logits(x, pass.condition());
    double cfg = sampling.guidanceOnLogits() ? sampling.cfg(scale) : 1;
    Tensor guided = BitSampler.guided(raw, batch, cfg, sampling.tau(scale));
    observer.logits(scale, raw, guided);
    return guided;
  }

  private LayerGuidance layerGuidance(SamplingOptions sampling, int scale) {
    if (sampling.guidedLayers().isEmpty()) {
      return LayerGuidance.NONE;
    }
    Set<Integer> layers = new HashSet<>();
    for (int fromEnd : sampling.guidedLayers()) {
      layers.add(transformer.config().depth() + fromEnd);
    }
    return new LayerGuidance(layers, sampling.cfg(scale));
  }

  /** Uniforms of every picture [batch, tokens, bits]. */
  private static Tensor noise(Tensor logits, long[] seeds, int scale) {
    int tokens = Math.toIntExact(logits.size(1));
    int bits = Math.toIntExact(logits.size(2) / 2);
    float[] uniforms = new float[seeds.length * tokens * bits];
    for (int image = 0; image < seeds.length; image++) {
      BitNoise.fill(uniforms, image * tokens * bits, seeds[image], scale, tokens, bits);
    }
    return Tensor.of(logits.backend(), uniforms, seeds.length, tokens, bits).to(logits.device());
  }
}
