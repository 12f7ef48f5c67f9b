package io.heatkv.var.vae;

import io.heatkv.autoencoder.Convolution;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Sorting;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Multi-scale vector quantisation (VectorQuantizer2): an image is the sum of every scale's codes,
 * resized to the last scale and smoothed by {@code phi(x) = 0.5 x + 0.5 convolution(x)}. All in
 * float32.
 *
 * @param codebook [entries, channels]
 * @param phis convolutions that neighbouring scales share
 */
public record MultiScaleVq(Tensor codebook, List<Convolution> phis) {
  public MultiScaleVq {
    phis = List.copyOf(phis);
  }

  /**
   * Which of {@code phis} convolutions serves a scale: the one whose tick is nearest to {@code
   * scale / (scales - 1)}, of equally near ones the first. Ten scales have exact ties, which the
   * rounding of the official code's float64 decides; so does this arithmetic, step by step the same
   * (PhiPartiallyShared, numpy.linspace).
   */
  public static int phi(int scale, int scales, int phis) {
    double first = (phis == 4 ? 1.0 / 3 : 1.0 / 2) / phis;
    double last = 1 - first;
    double step = phis == 1 ? 0 : (last - first) / (phis - 1);
    double at = scales == 1 ? 0 : (double) scale / (scales - 1);
    int nearest = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int k = 0; k < phis; k++) {
      double tick = k > 0 && k == phis - 1 ? last : k * step + first;
      if (Math.abs(tick - at) < least) {
        least = Math.abs(tick - at);
        nearest = k;
      }
    }
    return nearest;
  }

  /** Channels of a code. */
  public int channels() {
    return Math.toIntExact(codebook.size(1));
  }

  /** Smooths codes of full size [n, channels, h, w] with one of the convolutions. */
  public Tensor smooth(int phi, Tensor codes) {
    return codes.mul(0.5).addScaled(phis.get(phi).apply(codes), 0.5);
  }

  /** A sum of no codes [batch, channels, rows, columns] of the last scale. */
  public Tensor empty(ScaleGrids grids, long batch) {
    ScaleSize last = grids.last();
    return Tensor.full(
        codebook.backend(),
        0,
        DType.F32,
        codebook.device(),
        batch,
        channels(),
        last.height(),
        last.width());
  }

  /**
   * What a scale adds to the sum.
   *
   * @param tokens [batch, tokens], int64
   * @return [batch, channels, rows, columns] of the last scale
   */
  public Tensor codes(ScaleGrids grids, int scale, Tensor tokens) {
    ScaleSize size = grids.size(scale);
    ScaleSize last = grids.last();
    // Of one layout for any number of pictures: convolutions round otherwise channels last.
    Tensor codes =
        Ops.embedding(codebook, tokens)
            .transpose(1, 2)
            .contiguous()
            .reshape(tokens.size(0), channels(), size.height(), size.width());
    boolean full = scale == grids.count() - 1;
    Tensor resized = full ? codes : Ops.interpolateBicubic(codes, last.height(), last.width());
    return smooth(phi(scale, grids.count(), phis.size()), resized);
  }

  /**
   * What the transformer reads before it draws a scale: areas of the sum [batch, tokens, channels].
   */
  public Tensor nextInput(Tensor sum, ScaleSize next) {
    return Ops.interpolateArea(sum, next.height(), next.width())
        .reshape(sum.size(0), channels(), next.tokens())
        .transpose(1, 2);
  }

  /**
   * Quantises features scale by scale, each on what the coarser ones leave.
   *
   * @param features [batch, channels, rows, columns] of the last scale
   */
  public Quantized quantize(Tensor features, ScaleGrids grids) {
    try (Scope scope = Scope.open()) {
      Tensor rest = features.copy();
      Tensor sum = empty(grids, features.size(0));
      List<Tensor> rests = new ArrayList<>();
      List<Tensor> tokens = new ArrayList<>();
      List<Tensor> sums = new ArrayList<>();
      for (int scale = 0; scale < grids.count(); scale++) {
        Tensor coarse = nextInput(rest, grids.size(scale)).contiguous();
        rests.add(scope.keep(coarse));
        tokens.add(scope.keep(nearest(coarse)));
        Tensor codes = codes(grids, scale, tokens.getLast());
        rest = rest.sub(codes);
        Ops.addInPlace(sum, codes);
        sums.add(scope.keep(sum.copy()));
      }
      return new Quantized(tokens, rests, sums);
    }
  }

  /** The entry of the codebook with the least distance; x [batch, tokens, channels]. */
  private Tensor nearest(Tensor x) {
    Tensor own = Ops.sum(x.mul(x), true, -1);
    Tensor entries = Ops.sum(codebook.mul(codebook), false, -1);
    Tensor products = Ops.linear(x, codebook, null);
    return Sorting.argmax(products.mul(2).sub(own.add(entries)));
  }

  /**
   * Each scale's part of an image.
   *
   * @param tokens [batch, tokens], int64
   * @param rests what was quantised [batch, tokens, channels]
   * @param sums of all codes so far [batch, channels, rows, columns]
   */
  public record Quantized(List<Tensor> tokens, List<Tensor> rests, List<Tensor> sums) {
    public Quantized {
      tokens = List.copyOf(tokens);
      rests = List.copyOf(rests);
      sums = List.copyOf(sums);
    }
  }
}
