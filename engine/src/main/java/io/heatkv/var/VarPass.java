package io.heatkv.var;

import io.heatkv.cache.KvCache;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.Run;
import io.heatkv.family.ScaleObserver;
import io.heatkv.sample.BitNoise;
import io.heatkv.sample.CategoricalSampler;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.var.vae.MultiScaleVq;
import java.util.List;

/** Pictures that VAR draws (autoregressive_infer_cfg): logits, tokens, codes, the next input. */
final class VarPass implements Pass {
  private final VarTransformer transformer;
  private final MultiScaleVq quantizer;
  private final ScaleGrids grids;
  private final int rowsPerPicture;
  private final VarCondition condition;
  private final Scope state = Scope.detached();
  private Tensor canvas;

  /**
   * @param classes of every row
   * @param rowsPerPicture 2 under guidance, else 1
   */
  VarPass(VarTransformer transformer, MultiScaleVq quantizer, long[] classes, int rowsPerPicture) {
    this.transformer = transformer;
    this.quantizer = quantizer;
    this.rowsPerPicture = rowsPerPicture;
    grids = transformer.config().grids();
    condition = transformer.condition(classes);
    try (Scope _ = Scope.open()) {
      canvas = state.adopt(quantizer.empty(grids, classes.length / rowsPerPicture));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  @Override
  public Tensor logits(
      int scale, List<PictureRequest> pictures, KvCache cache, ScaleObserver observer) {
    try (Scope scope = Scope.open()) {
      Tensor codes = scale == 0 ? null : quantizer.nextInput(canvas, grids.size(scale));
      if (codes != null) {
        observer.codeInput(scale, codes);
      }
      Tensor x = transformer.embed(condition, scale, codes);
      observer.blockInput(scale, x);
      // A token is one symbol.
      Tensor raw = transformer.logits(x, condition, scale, cache, observer).unsqueeze(2);
      Tensor rows =
          raw.reshape(pictures.size(), rowsPerPicture, raw.size(1), raw.size(2), raw.size(3));
      List<Run> runs = Run.of(pictures, how -> List.of(how.cfg(scale), how.tau(scale)));
      Tensor guided = Run.joined(runs, rows, (run, part) -> guided(part, scale, run.sampling()));
      observer.logits(scale, raw, guided);
      return scope.keep(guided);
    }
  }

  /**
   * Guidance that grows with the scale, then temperature: {@code ((1 + t) conditional - t
   * unconditional) / tau} with t from 0 at the first scale to cfg at the last.
   *
   * @param rows [pictures, R, tokens, 1, entries]
   */
  private Tensor guided(Tensor rows, int scale, SamplingOptions sampling) {
    double t = sampling.cfg(scale) * scale / Math.max(1, grids.count() - 1);
    double tau = sampling.tau(scale);
    Tensor conditional = rows.select(1, 0);
    Tensor mixed =
        rowsPerPicture == 1 || t == 0
            ? conditional
            : conditional.mul(1 + t).addScaled(rows.select(1, 1), -t);
    return tau == 1 ? mixed : mixed.mul(1 / tau);
  }

  @Override
  public Tensor choose(int scale, List<PictureRequest> pictures, Tensor logits) {
    List<Run> runs = Run.of(pictures, how -> List.of(how.argmax(), how.topK(), how.topP()));
    return Run.joined(
        runs,
        logits,
        (run, part) -> {
          SamplingOptions how = run.sampling();
          return how.argmax()
              ? CategoricalSampler.argmax(part)
              : CategoricalSampler.sample(
                  part,
                  noise(scale, pictures.subList(run.first(), run.first() + run.count())),
                  how.topK(),
                  how.topP());
        });
  }

  /** Uniforms of every picture [pictures, tokens, 1]. */
  private Tensor noise(int scale, List<PictureRequest> pictures) {
    return BitNoise.uniforms(
        canvas.backend(),
        canvas.device(),
        pictures.stream().mapToLong(PictureRequest::seed).toArray(),
        scale,
        grids.tokens(scale),
        1);
  }

  @Override
  public void accept(int scale, Tensor tokens) {
    try (Scope _ = Scope.open()) {
      Ops.addInPlace(canvas, quantizer.codes(grids, scale, tokens.select(2, 0)));
    }
  }

  @Override
  public Tensor canvas() {
    return canvas;
  }

  @Override
  public void remove(int picture) {
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
