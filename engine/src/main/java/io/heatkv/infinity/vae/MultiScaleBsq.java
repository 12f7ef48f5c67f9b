package io.heatkv.infinity.vae;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Multi-scale binary spherical quantisation (MultiScaleBSQ): an image is the sum of every scale's
 * codes, each {@code ±1/sqrt(channels)}, resized to the last scale.
 *
 * @param channels of a code: bits of a position
 * @param patchify whether a token holds 2×2 positions, so that grids are twice as fine as scales
 */
public record MultiScaleBsq(int channels, boolean patchify) {
  private static final int PATCH = 2;

  /**
   * Codes of one scale.
   *
   * @param bits of every token [batch, tokens, bits], bool or 0 and 1; row-major
   * @return [batch, channels, rows, columns], float32; rows and columns twice the scale's with
   *     patchify
   */
  public Tensor codes(Tensor bits, ScaleSize size) {
    Tensor grid =
        bits.to(DType.F32)
            .transpose(1, 2)
            .reshape(bits.size(0), bits.size(2), size.height(), size.width());
    Tensor positions = patchify ? Ops.pixelShuffle(grid, PATCH) : grid;
    double unit = 1 / Math.sqrt(channels);
    return positions.mul(2 * unit).add(-unit);
  }

  /** Adds a scale's codes, resized to the last scale, to {@code sum} in place. */
  public void accumulate(Tensor sum, Tensor codes) {
    Ops.addInPlace(sum, Ops.interpolate(codes, sum.size(2), sum.size(3)));
  }

  /** A sum of no codes [batch, channels, rows, columns] of the last scale. */
  public Tensor empty(ScaleGrids grids, long batch, Backend backend, Device device) {
    ScaleSize last = grids.last();
    int factor = patchify ? PATCH : 1;
    return Tensor.full(
        backend,
        0,
        DType.F32,
        device,
        batch,
        channels,
        (long) last.height() * factor,
        (long) last.width() * factor);
  }

  /**
   * What the transformer reads before it draws a scale: the sum so far, resized to that scale
   * without antialiasing, as the official inference does (training averaged areas).
   *
   * @return [batch, tokens, bits]
   */
  public Tensor nextInput(Tensor sum, ScaleSize next) {
    int factor = patchify ? PATCH : 1;
    Tensor resized =
        Ops.interpolate(sum, (long) next.height() * factor, (long) next.width() * factor);
    Tensor grid = patchify ? Ops.pixelUnshuffle(resized, PATCH) : resized;
    return grid.reshape(grid.size(0), grid.size(1), next.tokens()).transpose(1, 2);
  }

  /**
   * Quantises features of an image scale by scale, each on what the coarser ones leave.
   *
   * @param features [batch, channels, rows, columns] of the last scale
   */
  public Quantized quantize(Tensor features, ScaleGrids grids) {
    try (Scope scope = Scope.open()) {
      Tensor zero = Tensor.full(features.backend(), 0, DType.F32, features.device(), 1);
      int factor = patchify ? PATCH : 1;
      Tensor residual = features;
      Tensor sum = empty(grids, features.size(0), features.backend(), features.device());
      List<Tensor> bits = new ArrayList<>();
      for (int t = 0; t < grids.count(); t++) {
        ScaleSize size = grids.size(t);
        Tensor coarse =
            Ops.interpolateArea(
                residual, (long) size.height() * factor, (long) size.width() * factor);
        Tensor grid = Ops.greater(coarse, zero).to(DType.F32);
        Tensor tokens = patchify ? Ops.pixelUnshuffle(grid, PATCH) : grid;
        Tensor flat =
            tokens
                .reshape(tokens.size(0), tokens.size(1), size.tokens())
                .transpose(1, 2)
                .contiguous();
        bits.add(scope.keep(flat.to(DType.U8)));
        Tensor codes = Ops.interpolate(codes(flat, size), sum.size(2), sum.size(3));
        residual = residual.sub(codes);
        Ops.addInPlace(sum, codes);
      }
      return new Quantized(bits, scope.keep(sum));
    }
  }

  /**
   * @param bits of every scale [batch, tokens, bits], 0 or 1
   * @param sum of all codes [batch, channels, rows, columns]
   */
  public record Quantized(List<Tensor> bits, Tensor sum) {
    public Quantized {
      bits = List.copyOf(bits);
    }
  }
}
