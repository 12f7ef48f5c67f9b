package io.heatkv.infinity;

import io.heatkv.cache.KvCache;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.Run;
import io.heatkv.family.ScaleObserver;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.sample.BitNoise;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Pictures that Infinity draws (autoregressive_infer_cfg): logits, bits, codes, the next input. */
final class InfinityPass implements Pass {
  private final InfinityTransformer transformer;
  private final MultiScaleBsq quantizer;
  private final ScaleGrids grids;
  private final int rowsPerPicture;
  private final Condition condition;
  private final Scope state = Scope.detached();
  // [tokens of all scales, head_dim / 2], complex
  private final Tensor rotary;
  private Tensor canvas;
  private @Nullable Input next;

  /**
   * What a scale begins with.
   *
   * @param codes null at scale 0
   * @param x input of block 0
   */
  private record Input(int scale, @Nullable Tensor codes, Tensor x) {}

  /**
   * @param features of every row [text tokens, text channels]
   * @param rowsPerPicture 2 under guidance, else 1
   */
  InfinityPass(
      InfinityTransformer transformer,
      MultiScaleBsq quantizer,
      ScaleGrids grids,
      List<Tensor> features,
      int rowsPerPicture) {
    this.transformer = transformer;
    this.quantizer = quantizer;
    this.grids = grids;
    this.rowsPerPicture = rowsPerPicture;
    condition = transformer.condition(features);
    try (Scope _ = Scope.open()) {
      rotary = state.adopt(transformer.rotary(grids));
      canvas =
          state.adopt(
              quantizer.empty(
                  grids,
                  features.size() / rowsPerPicture,
                  transformer.backend(),
                  transformer.device()));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  @Override
  public Tensor logits(
      int scale, List<PictureRequest> pictures, KvCache cache, ScaleObserver observer) {
    try (Scope scope = Scope.open()) {
      Input input = next != null && next.scale == scale ? next : input(scale);
      next = null;
      Tensor x = scope.adopt(input.x);
      if (input.codes != null) {
        observer.codeInput(scale, scope.adopt(input.codes));
      }
      observer.blockInput(scale, x);
      return scope.keep(logits(scale, x, pictures, cache, observer));
    }
  }

  private Input input(int scale) {
    Tensor codes = scale == 0 ? null : quantizer.nextInput(canvas, grids.size(scale));
    return new Input(scale, codes, transformer.embed(condition, scale, codes));
  }

  private Tensor logits(
      int scale, Tensor x, List<PictureRequest> pictures, KvCache cache, ScaleObserver observer) {
    Tensor positions = rotary.narrow(0, grids.offset(scale), grids.tokens(scale));
    LayerGuidance layers = new LayerGuidance(pictures, scale);
    transformer.blocks(x, condition, scale, positions, cache, layers, observer);
    Tensor flat = transformer.logits(x, condition);
    Tensor raw = flat.reshape(flat.size(0), flat.size(1), flat.size(2) / 2, 2);
    Tensor rows =
        raw.reshape(pictures.size(), rowsPerPicture, raw.size(1), raw.size(2), raw.size(3));
    boolean onLogits = pictures.getFirst().sampling().guidanceOnLogits();
    List<Run> runs = Run.of(pictures, options -> List.of(options.cfg(scale), options.tau(scale)));
    Tensor guided =
        Run.joined(
            runs,
            rows,
            (run, part) ->
                BitSampler.guided(
                    part, onLogits ? run.sampling().cfg(scale) : 1, run.sampling().tau(scale)));
    observer.logits(scale, raw, guided);
    return guided;
  }

  @Override
  public Tensor choose(int scale, List<PictureRequest> pictures, Tensor logits) {
    List<Run> runs = Run.of(pictures, options -> List.of(isArgmax(options), options.topP()));
    return Run.joined(
        runs,
        logits,
        (run, part) ->
            isArgmax(run.sampling())
                ? BitSampler.argmax(part)
                : BitSampler.sample(
                    part,
                    noise(part, pictures.subList(run.first(), run.first() + run.count()), scale),
                    run.sampling().topP()));
  }

  /** Of a bit's two choices, top-k leaves the likelier one or both. */
  private static boolean isArgmax(SamplingOptions sampling) {
    return sampling.argmax() || sampling.topK() == 1;
  }

  /** Uniforms of every picture [pictures, tokens, bits]. */
  private static Tensor noise(Tensor logits, List<PictureRequest> pictures, int scale) {
    return BitNoise.uniforms(
        logits.backend(),
        logits.device(),
        pictures.stream().mapToLong(PictureRequest::seed).toArray(),
        scale,
        Math.toIntExact(logits.size(1)),
        Math.toIntExact(logits.size(2)));
  }

  @Override
  public void accept(int scale, Tensor tokens) {
    quantizer.accumulate(canvas, quantizer.codes(tokens, grids.size(scale)));
    // Queued while the device is still busy with this scale.
    if (scale + 1 < grids.count()) {
      forgetNext();
      Input input = input(scale + 1);
      state.adopt(input.x);
      if (input.codes != null) {
        state.adopt(input.codes);
      }
      next = input;
    }
  }

  @Override
  public Tensor canvas() {
    return canvas;
  }

  private void forgetNext() {
    if (next != null) {
      try (Scope scope = Scope.open()) {
        scope.adopt(next.x);
        if (next.codes != null) {
          scope.adopt(next.codes);
        }
      }
      next = null;
    }
  }

  @Override
  public void remove(int picture) {
    forgetNext();
    condition.removeRows(picture * rowsPerPicture, rowsPerPicture);
    try (Scope _ = Scope.open()) {
      canvas = state.adopt(Ops.removeRows(canvas, 0, picture, 1));
    }
  }

  @Override
  public void close() {
    state.close();
    condition.close();
  }
}
