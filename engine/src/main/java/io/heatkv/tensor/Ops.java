package io.heatkv.tensor;

import io.heatkv.tensor.Operator.Products;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Neural-network operators, each a call of the ATen operator of the same name. */
public final class Ops {
  private static final Operator MATMUL = Operator.of("matmul", Products.WHOLE);
  private static final Operator LAYER_NORM = Operator.of("layer_norm");
  private static final Operator RMS_NORM = Operator.of("rms_norm");
  private static final Operator GROUP_NORM = Operator.of("group_norm");
  private static final int CHANNEL_BLOCK = 16;
  private static final Operator CONVOLUTION = Operator.of("_convolution", Products.WHOLE);
  private static final Operator ONEDNN_CONVOLUTION = Operator.of("mkldnn_convolution");
  private static final Operator NEAREST = Operator.of("upsample_nearest2d");
  private static final Operator BICUBIC = Operator.of("upsample_bicubic2d");
  private static final Operator TRILINEAR = Operator.of("upsample_trilinear3d");
  private static final Operator AREA = Operator.of("adaptive_avg_pool2d");
  private static final Operator PIXEL_SHUFFLE = Operator.of("pixel_shuffle");
  private static final Operator PIXEL_UNSHUFFLE = Operator.of("pixel_unshuffle");
  private static final Operator SILU_ = Operator.of("silu_");
  private static final Operator SIGMOID_ = Operator.of("sigmoid_");
  private static final Operator EXP = Operator.of("exp");
  private static final Operator MINIMUM = Operator.of("minimum");
  private static final Operator MAXIMUM = Operator.of("maximum");
  private static final Operator CLAMP = Operator.of("clamp", "Tensor");
  private static final Operator SOFTMAX = Operator.of("softmax", "int");
  private static final Operator LOGSUMEXP = Operator.of("logsumexp");
  private static final Operator SUM = Operator.of("sum", "dim_IntList");
  private static final Operator MEAN = Operator.of("mean", "dim");
  private static final Operator NORM = Operator.of("frobenius_norm", "dim");
  private static final Operator TOPK = Operator.of("topk");
  private static final Operator SQRT = Operator.of("sqrt");
  private static final Operator LESS = Operator.of("lt", "Tensor");
  private static final Operator LESS_EQUAL = Operator.of("le", "Tensor");
  private static final Operator GREATER = Operator.of("gt", "Tensor");
  private static final Operator WHERE = Operator.of("where", "self");
  private static final Operator CAT = Operator.of("cat");
  private static final Operator STACK = Operator.of("stack");
  private static final Operator INDEX_SELECT = Operator.of("index_select");
  private static final Operator INDEX_COPY_ = Operator.of("index_copy_");
  private static final Operator EMBEDDING = Operator.of("embedding");
  private static final Operator AS_COMPLEX = Operator.of("view_as_complex");
  private static final Operator AS_REAL = Operator.of("view_as_real");
  private static final Operator ADDCMUL = Operator.of("_foreach_addcmul_", "Tensor");
  private static final Operator ATTENTION =
      Operator.of("scaled_dot_product_attention", Products.PARTS);
  private static final Operator CPU_FLASH =
      Operator.of("_scaled_dot_product_flash_attention_for_cpu", Products.PARTS);

  private Ops() {}

  // ---- products

  /** {@code x W^T + b}; x [..., in], weight [out, in], bias [out]. */
  public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
    return LinearLayer.apply(x, weight, bias, false);
  }

  /** {@code gelu(x W^T + b)}, tanh approximation; x [..., in], weight [out, in], bias [out]. */
  public static Tensor linearGelu(Tensor x, Tensor weight, @Nullable Tensor bias) {
    return LinearLayer.apply(x, weight, bias, true);
  }

  /** Matrix product over the last two dimensions, batched over the others. */
  public static Tensor matmul(Tensor a, Tensor b) {
    return a.call(MATMUL, a, b);
  }

  /** 2-D convolution; x [n, in, h, w], weight [out, in, kh, kw], bias [out]. */
  public static Tensor conv2d(Tensor x, Tensor weight, Tensor bias, int stride, int padding) {
    long channels = x.size(1);
    // The natives of libtorch 2.10 give wrong numbers for 24 channels, say, on AVX-512 (PyTorch's
    // own builds of 2.13 do not): right are up to 16 and whole blocks of 16.
    if (!x.device().isCuda() && channels > CHANNEL_BLOCK && channels % CHANNEL_BLOCK != 0) {
      long whole = (channels / CHANNEL_BLOCK + 1) * CHANNEL_BLOCK;
      try (Scope scope = Scope.open()) {
        Tensor padded = padChannels(x, whole);
        return scope.keep(convolve(padded, padChannels(weight, whole), bias, stride, padding));
      }
    }
    return convolve(x, weight, bias, stride, padding);
  }

  /** What conv2d calls, with its choices made here instead of by settings of the process. */
  private static Tensor convolve(Tensor x, Tensor weight, Tensor bias, int stride, int padding) {
    if (!x.device().isCuda() && x.dtype() == DType.F32 && x.backend().hasOneDnn()) {
      // conv2d takes other code for small pictures and for one thread, which rounds otherwise.
      return x.call(
          ONEDNN_CONVOLUTION,
          x,
          weight,
          optional(bias),
          new long[] {padding, padding},
          new long[] {stride, stride},
          new long[] {1, 1},
          1L);
    }
    boolean transposed = false;
    long groups = 1;
    // An algorithm chosen by timing would be another one at times.
    boolean benchmark = false;
    boolean deterministic = false;
    boolean cudnn = true;
    // fp32 means fp32: by default cuDNN would round inputs to 10 bits of mantissa.
    boolean tensorFloat32 = false;
    return x.call(
        CONVOLUTION,
        x,
        weight,
        optional(bias),
        new long[] {stride, stride},
        new long[] {padding, padding},
        new long[] {1, 1},
        transposed,
        new long[] {0, 0},
        groups,
        benchmark,
        deterministic,
        cudnn,
        tensorFloat32);
  }

  /** Zeros behind the second dimension of x [a, channels, h, w]. */
  private static Tensor padChannels(Tensor x, long channels) {
    Tensor padded =
        Tensor.full(
            x.backend(), 0, x.dtype(), x.device(), x.size(0), channels, x.size(2), x.size(3));
    padded.narrow(1, 0, x.size(1)).copyFrom(x);
    return padded;
  }

  /**
   * Softmax attention; q [b, h, n, d], k and v [b, h, m, d], mask additive [b or 1, h or 1, n or 1,
   * m] or null. Returns [b, h, n, d].
   */
  public static Tensor attention(
      Tensor q, Tensor k, Tensor v, @Nullable Tensor mask, double scale) {
    if (q.dtype() != DType.F32 && !q.device().isCuda()) {
      // Without MKL the half-precision kernels of the CPU are a hundred times slower.
      return attention(
              q.to(DType.F32),
              k.to(DType.F32),
              v.to(DType.F32),
              mask == null ? null : mask.to(DType.F32),
              scale)
          .to(q.dtype());
    }
    return q.call(
        ATTENTION, q, k, v, optional(mask), 0.0, false, Backend.Optional.of(scale), false);
  }

  /**
   * Attention over keys of which each row has its own number, padded to the longest.
   *
   * @param mask additive [b, 1, 1, m]: 0 for a row's keys, which come first
   */
  public static Tensor attentionOverPadded(
      Tensor q, Tensor k, Tensor v, Tensor mask, double scale) {
    if (q.device().isCuda()) {
      return attention(q, k, v, mask, scale);
    }
    // Each row by itself: its bits don't depend on how far the others pad it.
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3))
            .transpose(1, 2);
    float[] padding = mask.toFloats();
    int longest = Math.toIntExact(mask.size(3));
    for (int row = 0; row < q.size(0); row++) {
      int keys = 0;
      while (keys < longest && padding[row * longest + keys] == 0) {
        keys++;
      }
      try (Scope _ = Scope.open()) {
        Tensor own = k.narrow(0, row, 1).narrow(2, 0, keys);
        Tensor values = v.narrow(0, row, 1).narrow(2, 0, keys);
        out.narrow(0, row, 1).copyFrom(attention(q.narrow(0, row, 1), own, values, null, scale));
      }
    }
    return out;
  }

  /**
   * As {@link #attention} without a mask, with the log-sum-exp of each query's scaled scores.
   *
   * @return output [b, h, n, d] and log-sum-exp [b, h, n], float32
   */
  public static AttentionParts attentionWithLse(Tensor q, Tensor k, Tensor v, double scale) {
    if (q.device().isCuda()) {
      return q.backend().ops(q.device()).attentionWithLse(q, k, v, scale);
    }
    if (q.dtype() != DType.F32 && !q.device().isCuda()) {
      AttentionParts parts =
          attentionWithLse(q.to(DType.F32), k.to(DType.F32), v.to(DType.F32), scale);
      return new AttentionParts(parts.output().to(q.dtype()), parts.lse());
    }
    long[] results =
        q.backend()
            .callMany(
                CPU_FLASH,
                2,
                q,
                k,
                v,
                0.0,
                false,
                Backend.Optional.NONE,
                Backend.Optional.of(scale));
    return new AttentionParts(
        Tensor.of(q.backend(), results[0]), Tensor.of(q.backend(), results[1]));
  }

  /** Attention over some of the keys: its output and the log-sum-exp of the scores. */
  public record AttentionParts(Tensor output, Tensor lse) {}

  // ---- normalisation

  /** Layer norm over the last dimension, with affine parameters where given. */
  public static Tensor layerNorm(
      Tensor x, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
    return x.call(
        LAYER_NORM, x, new long[] {x.size(-1)}, optional(weight), optional(bias), eps, false);
  }

  /** {@code x / sqrt(mean(x^2) + eps) * weight} over the last dimension. */
  public static Tensor rmsNorm(Tensor x, Tensor weight, double eps) {
    return x.call(RMS_NORM, x, new long[] {x.size(-1)}, optional(weight), Backend.Optional.of(eps));
  }

  /** Group norm; x [n, c, h, w], weight and bias [c]. */
  public static Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, double eps) {
    return x.call(GROUP_NORM, x, (long) groups, optional(weight), optional(bias), eps, false);
  }

  /** Softmax over the last dimension. */
  public static Tensor softmax(Tensor x) {
    return x.call(SOFTMAX, x, -1L, Backend.Optional.NONE);
  }

  // ---- element by element

  /** {@code x sigmoid(x)}. */
  public static Tensor silu(Tensor x) {
    return siluInPlace(x.copy());
  }

  /** {@code x <- x sigmoid(x)}; returns x. */
  public static Tensor siluInPlace(Tensor x) {
    return WholeVectors.apply(x, part -> part.call(SILU_, part).release());
  }

  /** The tanh approximation of GELU. */
  public static Tensor gelu(Tensor x) {
    return geluInPlace(x.copy());
  }

  /** {@code x <- gelu(x)}, tanh approximation; returns x. */
  public static Tensor geluInPlace(Tensor x) {
    return WholeVectors.apply(x, part -> part.backend().gelu(part));
  }

  public static Tensor sigmoid(Tensor x) {
    return WholeVectors.apply(x.copy(), part -> part.call(SIGMOID_, part).release());
  }

  static Tensor zeros(Tensor like, long... shape) {
    return Tensor.full(like.backend(), 0, like.dtype(), like.device(), shape);
  }

  public static Tensor sqrt(Tensor x) {
    return x.call(SQRT, x);
  }

  public static Tensor exp(Tensor x) {
    return x.call(EXP, x);
  }

  public static Tensor minimum(Tensor a, Tensor b) {
    return a.call(MINIMUM, a, b);
  }

  public static Tensor maximum(Tensor a, Tensor b) {
    return a.call(MAXIMUM, a, b);
  }

  /** Limits x to [low, high], both tensors that broadcast. */
  public static Tensor clamp(Tensor x, Tensor low, Tensor high) {
    return x.call(CLAMP, x, optional(low), optional(high));
  }

  /** {@code target += a * b}, broadcast to target; returns target. */
  public static Tensor addProductInPlace(Tensor target, Tensor a, Tensor b) {
    try (Scope _ = Scope.open()) {
      Tensor one = Tensor.of(target.backend(), new float[] {1}, 1);
      target
          .backend()
          .callMany(ADDCMUL, 0, new Tensor[] {target}, new Tensor[] {a}, new Tensor[] {b}, one);
    }
    return target;
  }

  /** {@code target += summand}, broadcast to target; returns target. */
  public static Tensor addInPlace(Tensor target, Tensor summand) {
    try (Scope _ = Scope.open()) {
      Tensor one = Tensor.full(target.backend(), 1, summand.dtype(), summand.device(), 1);
      return addProductInPlace(target, summand, one);
    }
  }

  // ---- reductions and comparisons

  public static Tensor sum(Tensor x, boolean keep, long... dims) {
    return x.call(SUM, x, Backend.Optional.of(dims), keep, Backend.Optional.NONE);
  }

  /** {@code log(sum(exp(x)))} over one dimension, which becomes 1. */
  public static Tensor logSumExp(Tensor x, int dim) {
    return x.call(LOGSUMEXP, x, new long[] {dim}, true);
  }

  public static Tensor mean(Tensor x, boolean keep, long... dims) {
    return x.call(MEAN, x, Backend.Optional.of(dims), keep, Backend.Optional.NONE);
  }

  /** Square root of the sum of squares over one or two dimensions. */
  public static Tensor norm(Tensor x, long... dims) {
    return x.call(NORM, x, dims, false);
  }

  /** The {@code count} largest values along the last dimension, in no order. */
  public static Tensor largest(Tensor x, long count) {
    long[] results = x.backend().callMany(TOPK, 2, x, count, -1L, true, false);
    Tensor.of(x.backend(), results[1]).release();
    return Tensor.of(x.backend(), results[0]);
  }

  public static Tensor less(Tensor a, Tensor b) {
    return a.call(LESS, a, b);
  }

  public static Tensor lessOrEqual(Tensor a, Tensor b) {
    return a.call(LESS_EQUAL, a, b);
  }

  public static Tensor greater(Tensor a, Tensor b) {
    return a.call(GREATER, a, b);
  }

  /** a where the condition holds, else b. */
  public static Tensor where(Tensor condition, Tensor a, Tensor b) {
    return a.call(WHERE, condition, a, b);
  }

  // ---- gathering

  public static Tensor cat(int dim, List<Tensor> parts) {
    return parts.size() == 1
        ? parts.getFirst()
        : parts.getFirst().call(CAT, parts.toArray(Tensor[]::new), (long) dim);
  }

  public static Tensor cat(int dim, Tensor... parts) {
    return cat(dim, List.of(parts));
  }

  /** Joins tensors of equal shape along a new dimension. */
  public static Tensor stack(int dim, Tensor... parts) {
    return parts[0].call(STACK, parts, (long) dim);
  }

  /** Slices of x along {@code dim} at the given int64 indices. */
  public static Tensor indexSelect(Tensor x, int dim, Tensor indices) {
    return x.call(INDEX_SELECT, x, (long) dim, indices);
  }

  /** Writes the slices of source into target along {@code dim} at the given int64 indices. */
  public static void indexCopy(Tensor target, int dim, Tensor indices, Tensor source) {
    target.call(INDEX_COPY_, target, (long) dim, indices, source).release();
  }

  /**
   * Removes rows in place: the last {@code count} take the place of those from {@code first} on.
   *
   * @param dim dimension of the rows
   * @return a view of what is left
   */
  public static Tensor removeRows(Tensor x, int dim, long first, long count) {
    long left = x.size(dim) - count;
    if (first < left) {
      x.narrow(dim, first, count).copyFrom(x.narrow(dim, left, count));
    }
    return x.narrow(dim, 0, left);
  }

  /** Rows of weight [n, d] at the indices [...]; returns [..., d]. */
  public static Tensor embedding(Tensor weight, Tensor indices) {
    return weight.call(EMBEDDING, weight, indices, -1L, false, false);
  }

  // ---- images

  /** Repeats pixels to the given size; x [n, c, h, w]. */
  public static Tensor upsampleNearest(Tensor x, long height, long width) {
    return x.call(
        NEAREST, x, new long[] {height, width}, Backend.Optional.NONE, Backend.Optional.NONE);
  }

  /**
   * Linear interpolation over rows and columns without aligned corners or antialiasing, as {@code
   * F.interpolate(mode="trilinear")} does with one frame; x [n, c, h, w].
   */
  public static Tensor interpolate(Tensor x, long height, long width) {
    if (x.size(2) == height && x.size(3) == width) {
      return x;
    }
    Tensor frame = x.unsqueeze(2);
    return frame
        .call(
            TRILINEAR,
            frame,
            new long[] {1, height, width},
            false,
            Backend.Optional.NONE,
            Backend.Optional.NONE,
            Backend.Optional.NONE)
        .select(2, 0);
  }

  /** Bicubic (a = -0.75) with half-pixel centres and no antialiasing; x [n, c, h, w]. */
  public static Tensor interpolateBicubic(Tensor x, long height, long width) {
    long[] size = {height, width};
    return x.call(BICUBIC, x, size, false, Backend.Optional.NONE, Backend.Optional.NONE);
  }

  /** Mean over the pixels that fall into each target pixel; x [n, c, h, w]. */
  public static Tensor interpolateArea(Tensor x, long height, long width) {
    return x.call(AREA, x, new long[] {height, width});
  }

  /** Zeros on the right and below; x [n, c, h, w]. */
  public static Tensor padRightBottom(Tensor x, long right, long bottom) {
    Tensor padded =
        Tensor.full(
            x.backend(),
            0,
            x.dtype(),
            x.device(),
            x.size(0),
            x.size(1),
            x.size(2) + bottom,
            x.size(3) + right);
    padded.narrow(2, 0, x.size(2)).narrow(3, 0, x.size(3)).copyFrom(x);
    return padded;
  }

  /** [n, c r r, h, w] to [n, c, h r, w r]. */
  public static Tensor pixelShuffle(Tensor x, int factor) {
    return x.call(PIXEL_SHUFFLE, x, (long) factor);
  }

  /** [n, c, h r, w r] to [n, c r r, h, w]. */
  public static Tensor pixelUnshuffle(Tensor x, int factor) {
    return x.call(PIXEL_UNSHUFFLE, x, (long) factor);
  }

  // ---- complex numbers

  /** Pairs [..., 2] as complex numbers [...]; a view of contiguous float32. */
  public static Tensor asComplex(Tensor pairs) {
    return pairs.call(AS_COMPLEX, pairs);
  }

  /** Complex numbers [...] as pairs [..., 2]; a view. */
  public static Tensor asReal(Tensor complex) {
    return complex.call(AS_REAL, complex);
  }

  static Backend.Optional optional(@Nullable Tensor tensor) {
    return Backend.Optional.of(tensor);
  }
}
