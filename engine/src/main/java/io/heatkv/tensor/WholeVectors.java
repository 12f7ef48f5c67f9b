package io.heatkv.tensor;

import java.util.function.Consumer;

/**
 * Elementwise functions whose vector code on the CPU rounds otherwise than the scalar code for what
 * a thread finds behind its last whole vector: an element's bits would depend on its neighbours and
 * on the number of threads. Here every element comes to lie in a whole vector.
 *
 * <p>libtorch gives each of its threads an equal part, of PART elements at least; in GELU of fewer.
 */
final class WholeVectors {
  // Elements that vector code takes at once, at most.
  private static final long VECTORS = 64;
  private static final long PART = 32768;
  // Elements that are never divided among threads.
  private static final long UNDIVIDED = 16384;

  private WholeVectors() {}

  /** A function of a range of a dimension. */
  interface Range {
    void apply(long start, long length);
  }

  /** Applies a function in place to all of x; returns x. */
  static Tensor apply(Tensor x, Consumer<Tensor> function) {
    if (x.device().isCuda() || !x.isContiguous()) {
      function.accept(x);
      return x;
    }
    long count = x.count();
    long threads = x.backend().threads();
    long divided = count <= UNDIVIDED ? 0 : divided(count, 1, threads, VECTORS * threads);
    try (Scope _ = Scope.open()) {
      Tensor flat = x.reshape(count);
      if (divided > 0) {
        function.accept(flat.narrow(0, 0, divided));
      }
      for (long start = divided; start < count; start += UNDIVIDED) {
        Tensor part = flat.narrow(0, start, Math.min(UNDIVIDED, count - start));
        long behind = part.count() % VECTORS;
        if (behind == 0) {
          function.accept(part);
        } else {
          Tensor whole = Ops.zeros(x, part.count() - behind + VECTORS);
          Tensor same = whole.narrow(0, 0, part.count()).copyFrom(part);
          function.accept(whole);
          part.copyFrom(same);
        }
      }
      return x;
    }
  }

  /**
   * Calls a function for ranges of a dimension of x, so that no slice behind it is divided.
   *
   * @param dim with whole vectors, or equally many elements behind them, in all its slices
   */
  static void ranges(Tensor x, int dim, Range function) {
    long size = x.size(dim);
    long threads = x.device().isCuda() ? 1 : x.backend().threads();
    long each = x.count() / Math.max(1, size);
    long start = 0;
    while (start < size) {
      long length = Math.max(1, divided(size - start, each, threads, 1));
      function.apply(start, length);
      start += length;
    }
  }

  /** How many of count pieces of some elements threads share at multiples of unit pieces. */
  private static long divided(long count, long each, long threads, long unit) {
    long divided = count;
    long parts = threads;
    long before;
    do {
      before = divided;
      parts = Math.clamp(Math.ceilDiv(divided * each, PART), 1, parts);
      divided -= divided % (unit * parts);
    } while (divided != before);
    return divided;
  }
}
