package io.heatkv.verify;

import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/** Softmax attention in float64, one key after another. */
final class SlowAttention {
  private final double[] queries;
  private final int tokens;
  private final int dim;
  private final double scale;
  private final double[] weighted;
  private final double[] total;

  /**
   * @param q [rows, heads, tokens, head_dim]
   */
  SlowAttention(Tensor q, double scale) {
    queries = q.toDoubles();
    tokens = (int) q.size(2);
    dim = (int) q.size(3);
    this.scale = scale;
    weighted = new double[queries.length];
    total = new double[queries.length / dim];
  }

  /**
   * Lets the queries of a (row, head) see some keys.
   *
   * @param firstKey of {@code keys}, in entries
   * @param firstValue of {@code values}, in entries
   */
  void see(int sequence, double[] keys, double[] values, int firstKey, int firstValue, int count) {
    for (int query = sequence * tokens; query < (sequence + 1) * tokens; query++) {
      for (int i = 0; i < count; i++) {
        double score = 0;
        for (int j = 0; j < dim; j++) {
          score += queries[query * dim + j] * keys[(firstKey + i) * dim + j];
        }
        double weight = Math.exp(score * scale);
        total[query] += weight;
        for (int j = 0; j < dim; j++) {
          weighted[query * dim + j] += weight * values[(firstValue + i) * dim + j];
        }
      }
    }
  }

  /**
   * Column sums of the attention matrix.
   *
   * @param q [rows, heads, tokens, head_dim], scaled
   * @param parts keys, each [rows, heads, entries, head_dim]
   * @return [rows, heads, sum of entries]
   */
  static double[] columnSums(Tensor q, List<Tensor> parts) {
    int sequences = (int) (q.size(0) * q.size(1));
    int tokens = (int) q.size(2);
    int dim = (int) q.size(3);
    double[] queries = q.toDoubles();
    List<double[]> keys = parts.stream().map(Tensor::toDoubles).toList();
    int count = parts.stream().mapToInt(part -> (int) part.size(2)).sum();
    double[] sums = new double[sequences * count];
    for (int query = 0; query < sequences * tokens; query++) {
      double[] weights = new double[count];
      int key = 0;
      for (double[] part : keys) {
        int entries = part.length / sequences / dim;
        for (int i = 0; i < entries; i++) {
          double score = 0;
          for (int j = 0; j < dim; j++) {
            score += queries[query * dim + j] * part[(query / tokens * entries + i) * dim + j];
          }
          weights[key++] = Math.exp(score);
        }
      }
      double total = Arrays.stream(weights).sum();
      for (int i = 0; i < count; i++) {
        sums[query / tokens * count + i] += weights[i] / total;
      }
    }
    return sums;
  }

  double[] output() {
    double[] output = weighted.clone();
    for (int i = 0; i < output.length; i++) {
      output[i] /= total[i / dim];
    }
    return output;
  }

  double[] logSumExp() {
    return Arrays.stream(total).map(Math::log).toArray();
  }
}
