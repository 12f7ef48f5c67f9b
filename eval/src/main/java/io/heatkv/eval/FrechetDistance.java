package io.heatkv.eval;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Operator;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * Squared Fréchet distance of the Gaussians of two feature sets (Dowson and Landau, "The Fréchet
 * distance between multivariate normal distributions", 1982): {@code |m1 - m2|² + tr(S1 + S2 - 2
 * (S1 S2)^(1/2))} with sample covariances. It is the FID of Heusel et al. (2017) if, and only if,
 * the features are those of its Inception network.
 *
 * <p>With {@code S = F'F}, {@code tr (S1 S2)^(1/2)} is the sum of the singular values of {@code F1
 * F2'}, where F are the centred features over {@code sqrt(n - 1)}, or the triangle of their QR
 * decomposition where there are more samples than dimensions. So no root of a singular matrix is
 * taken, and fewer samples than dimensions need no correction: the distance of the sample
 * covariances is defined all the same. As an estimate of the distance of the distributions it is
 * then far too large, and with any number of samples too large by about one over it: compare only
 * distances of equally many samples.
 */
public final class FrechetDistance {
  private static final Operator SINGULAR_VALUES = Operator.of("linalg_svdvals");
  private static final Operator QR = Operator.of("linalg_qr");

  private FrechetDistance() {}

  /**
   * The distance, in squared units of the features; computed in float64 on the CPU.
   *
   * @param a features of each sample, two samples or more
   * @param b likewise; another number of samples is allowed
   * @throws IllegalArgumentException if a set is too small or lengths differ
   */
  public static double of(Backend backend, List<float[]> a, List<float[]> b) {
    int dimensions = a.isEmpty() ? 0 : a.getFirst().length;
    check(a, dimensions);
    check(b, dimensions);
    double[] meanA = mean(a);
    double[] meanB = mean(b);
    double shift = 0;
    for (int i = 0; i < dimensions; i++) {
      shift += (meanA[i] - meanB[i]) * (meanA[i] - meanB[i]);
    }
    double[] centredA = centred(a, meanA);
    double[] centredB = centred(b, meanB);
    try (Scope _ = Scope.open()) {
      Tensor cross =
          Ops.matmul(
              factor(backend, centredA, dimensions),
              factor(backend, centredB, dimensions).transpose(0, 1));
      double root = sum(singularValues(cross));
      // Rounding may leave a hair less than nothing.
      return Math.max(0, shift + squares(centredA) + squares(centredB) - 2 * root);
    }
  }

  private static void check(List<float[]> set, int dimensions) {
    if (set.size() < 2 || dimensions < 1) {
      throw new IllegalArgumentException(
          "a covariance needs two samples or more, not " + set.size());
    }
    for (float[] features : set) {
      if (features.length != dimensions) {
        throw new IllegalArgumentException(
            "features of %d and %d dimensions can't be compared"
                .formatted(dimensions, features.length));
      }
    }
  }

  private static double[] mean(List<float[]> set) {
    double[] mean = new double[set.getFirst().length];
    for (float[] features : set) {
      for (int i = 0; i < mean.length; i++) {
        mean[i] += features[i] / (double) set.size();
      }
    }
    return mean;
  }

  /** Features less their mean, over {@code sqrt(n - 1)}, [samples, dimensions]. */
  private static double[] centred(List<float[]> set, double[] mean) {
    double scale = 1 / Math.sqrt(set.size() - 1);
    double[] centred = new double[Math.multiplyExact(set.size(), mean.length)];
    for (int i = 0; i < centred.length; i++) {
      int dimension = i % mean.length;
      centred[i] = (set.get(i / mean.length)[dimension] - mean[dimension]) * scale;
    }
    return centred;
  }

  /** The trace of the covariance. */
  private static double squares(double[] centred) {
    return Arrays.stream(centred).map(value -> value * value).sum();
  }

  private static double sum(Tensor values) {
    return Arrays.stream(values.toDoubles()).sum();
  }

  /** F with {@code F'F} the covariance, of no more rows than columns. */
  private static Tensor factor(Backend backend, double[] centred, int dimensions) {
    int samples = centred.length / dimensions;
    Tensor rows = Tensor.empty(backend, DType.F64, Device.CPU, samples, dimensions);
    MemorySegment.copy(centred, 0, rows.memory(), ValueLayout.JAVA_DOUBLE, 0, centred.length);
    if (samples <= dimensions) {
      return rows;
    }
    long[] handles = backend.callMany(QR, 2, rows, "r");
    Tensor.of(backend, handles[0]);
    return Tensor.of(backend, handles[1]);
  }

  private static Tensor singularValues(Tensor matrix) {
    Backend backend = matrix.backend();
    return Tensor.of(backend, backend.call(SINGULAR_VALUES, matrix, Backend.Optional.NONE));
  }
}
