package io.heatkv.tensor;

/**
 * Measures how far attention's output moves when one source's map is stored at a level: a
 * resolution and a precision, where slot 0 stands for dropping it.
 */
public interface LevelMoves {
  /**
   * Maps and the queries that are asked.
   *
   * @param heights rows of each scale's map
   * @param widths columns of each scale's map
   * @param queries where each scale's queries begin among those of all scales
   * @param shares what each query's squares count in one of the two companies, float32 [queries, 1]
   */
  record Maps(int[] heights, int[] widths, int[] queries, Tensor shares) {
    /** Scales but the last, which is never stored. */
    public int sources() {
      return heights.length - 1;
    }

    /** Tokens of a scale. */
    public int tokens(int scale) {
      return heights[scale] * widths[scale];
    }

    /** Number of a scale's queries. */
    public int queries(int scale) {
      long end = scale == sources() ? shares.count() : queries[scale + 1];
      return Math.toIntExact(end) - queries[scale];
    }
  }

  /**
   * Squares by which each level moves outputs, sums over channels, companies and queries by their
   * shares.
   *
   * @param q queries of all scales [layers, heads, queries, head_dim]
   * @param k keys of the last scale [layers, heads, tokens, head_dim]
   * @param v values, same shape
   * @param keys of all other scales [layers, heads, cached tokens, head_dim]
   * @param values same shape
   * @return [layers, sources, heads, slots], float32
   */
  Tensor squares(Tensor q, Tensor k, Tensor v, Tensor keys, Tensor values);
}
