package io.heatkv.testkit.toy;

import io.heatkv.cache.KvCache;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.sample.BitNoise;
import io.heatkv.sample.CategoricalSampler;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/** Pictures on their way through the scales; canvases are resized to the nearest code. */
final class ToyPass implements Pass {
  // A few of the choices are never drawn.
  private static final int TOP_K = ToyConfig.ENTRIES - 2;

  private final ToyNetworks networks;
  private final ScaleGrids grids;
  private final int rowsPerPicture;
  private final Scope state = Scope.detached();
  // [rows, width]
  private Tensor conditions;
  private Tensor canvas;

  /**
   * @param classes of every row
   * @param rowsPerPicture 2 under guidance, else 1
   */
  ToyPass(ToyNetworks networks, ScaleGrids grids, long[] classes, int rowsPerPicture) {
    this.networks = networks;
    this.grids = grids;
    this.rowsPerPicture = rowsPerPicture;
    Tensor like = networks.classes;
    try (Scope _ = Scope.open()) {
      Tensor indices = Tensor.of(like.backend(), classes, classes.length).to(like.device());
      conditions = state.adopt(Ops.embedding(like, indices));
      canvas =
          state.adopt(
              Tensor.full(
                  like.backend(),
                  0,
                  DType.F32,
                  like.device(),
                  classes.length / rowsPerPicture,
                  ToyConfig.CHANNELS,
                  grids.last().height(),
                  grids.last().width()));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  @Override
  public Tensor logits(
      int scale, List<PictureRequest> pictures, KvCache cache, ScaleObserver observer) {
    try (Scope scope = Scope.open()) {
      ScaleSize size = grids.size(scale);
      Tensor codes = null;
      if (scale > 0) {
        codes = Ops.upsampleNearest(canvas, size.height(), size.width());
        codes = codes.reshape(pictures.size(), ToyConfig.CHANNELS, size.tokens()).transpose(1, 2);
        observer.codeInput(scale, codes);
        codes = eachRow(codes);
      }
      Tensor x = networks.embed(conditions, scale, size, codes);
      observer.blockInput(scale, x);
      Tensor raw = networks.logits(x, scale, cache, observer).unsqueeze(2);
      Tensor guided = guided(raw, scale, pictures);
      observer.logits(scale, raw, guided);
      return scope.keep(guided);
    }
  }

  /** All rows of a picture read the same codes. */
  private Tensor eachRow(Tensor codes) {
    long[] shape = codes.shape();
    return codes
        .unsqueeze(1)
        .expand(shape[0], rowsPerPicture, shape[1], shape[2])
        .reshape(shape[0] * rowsPerPicture, shape[1], shape[2]);
  }

  /** {@code ((1 + t) conditional - t unconditional) / tau}. */
  private Tensor guided(Tensor raw, int scale, List<PictureRequest> pictures) {
    Tensor rows = raw.reshape(pictures.size(), rowsPerPicture, raw.size(1), 1, ToyConfig.ENTRIES);
    Tensor conditional =
        rows.select(1, 0).mul(factors(pictures, how -> (1 + t(how, scale)) / how.tau(scale)));
    return rowsPerPicture == 1
        ? conditional
        : conditional.sub(
            rows.select(1, 1).mul(factors(pictures, how -> t(how, scale) / how.tau(scale))));
  }

  /** Guidance grows with the scale, from 0 at the first to cfg - 1 at the last. */
  private double t(SamplingOptions sampling, int scale) {
    return (sampling.cfg(scale) - 1) * scale / Math.max(1, grids.count() - 1);
  }

  private Tensor factors(List<PictureRequest> pictures, ToDoubleFunction<SamplingOptions> factor) {
    float[] values = new float[pictures.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) factor.applyAsDouble(pictures.get(i).sampling());
    }
    return Tensor.of(canvas.backend(), values, values.length, 1, 1, 1).to(canvas.device());
  }

  @Override
  public Tensor choose(int scale, List<PictureRequest> pictures, Tensor logits) {
    try (Scope scope = Scope.open()) {
      return scope.keep(
          Ops.cat(
              0,
              IntStream.range(0, pictures.size())
                  .mapToObj(i -> choose(scale, pictures.get(i), logits.narrow(0, i, 1)))
                  .toList()));
    }
  }

  private Tensor choose(int scale, PictureRequest picture, Tensor logits) {
    if (picture.sampling().argmax()) {
      return CategoricalSampler.argmax(logits);
    }
    long[] seed = {picture.seed()};
    Tensor uniforms =
        BitNoise.uniforms(logits.backend(), logits.device(), seed, scale, grids.tokens(scale), 1);
    return CategoricalSampler.sample(logits, uniforms, TOP_K, picture.sampling().topP());
  }

  @Override
  public void accept(int scale, Tensor tokens) {
    try (Scope _ = Scope.open()) {
      ScaleSize size = grids.size(scale);
      Tensor codes =
          Ops.embedding(networks.codebook, tokens.select(2, 0))
              .transpose(1, 2)
              .reshape(tokens.size(0), ToyConfig.CHANNELS, size.height(), size.width());
      Ops.addInPlace(canvas, Ops.upsampleNearest(codes, canvas.size(2), canvas.size(3)));
    }
  }

  @Override
  public Tensor canvas() {
    return canvas;
  }

  @Override
  public void remove(int picture) {
    int first = picture * rowsPerPicture;
    try (Scope _ = Scope.open()) {
      conditions = state.adopt(Ops.removeRows(conditions, 0, first, rowsPerPicture));
      canvas = state.adopt(Ops.removeRows(canvas, 0, picture, 1));
    }
  }

  @Override
  public void close() {
    state.close();
  }
}
