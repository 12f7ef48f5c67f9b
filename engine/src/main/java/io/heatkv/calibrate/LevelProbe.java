package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.LevelMoves;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.stream.IntStream;

/**
 * Measures what every level of an atom costs: how far its head's output for later scales moves when
 * the atom alone is stored so.
 *
 * <p>Squares of the move are means over channels and the queries of all scales but the first, those
 * that don't see the atom included, of the first row; some queries of a scale stand for all. An
 * atom is judged twice, and the mean of both counts: in the company of all scales, and in that of
 * smaller scales and the query's own alone.
 *
 * <p>An atom adds a mass m and a sum c of weighted values to the output O = C / M. A level that
 * changes them by dm and dc moves the output by {@code (dc - dm O) / (M + dm)}.
 */
final class LevelProbe implements AutoCloseable {
  private static final int QUERIES = 32;

  private final KvShape shape;
  private final int sources;
  private final SampledQueries queries;
  private final LevelMoves moves;
  // Of each layer [layers, sources, heads, slots].
  private final LayerNumbers costs = new LayerNumbers();

  /**
   * @param storage owns what is kept
   */
  LevelProbe(Backend backend, Device device, KvShape shape, Scope storage) {
    this.shape = shape;
    ScaleGrids grids = shape.grids();
    sources = grids.count() - 1;
    queries = new SampledQueries(backend, device, shape, 1, QUERIES, storage);
    double all = 2.0 * shape.headDim() * (grids.totalTokens() - grids.offset(1));
    float[] each = new float[queries.start(sources) + queries.count(sources)];
    for (int t = 1; t <= sources; t++) {
      for (int i = 0; i < queries.count(t); i++) {
        each[queries.start(t) + i] = (float) (grids.tokens(t) / all / queries.count(t));
      }
    }
    try (Scope _ = Scope.open()) {
      LevelMoves.Maps maps =
          new LevelMoves.Maps(
              grids.scales().stream().mapToInt(ScaleSize::height).toArray(),
              grids.scales().stream().mapToInt(ScaleSize::width).toArray(),
              IntStream.range(0, grids.count()).map(queries::start).toArray(),
              storage.adopt(Tensor.of(backend, each, each.length, 1).to(device)));
      LevelMoves own =
          backend.ops(device).levelMoves(maps, shape.dtype(), shape.headDim(), storage);
      moves = own != null ? own : new LevelOperators(backend, device, grids, maps, storage);
    }
  }

  /** Bytes of the largest intermediate value of a layer. */
  long layerBytes() {
    long asked = (long) queries.start(sources) + queries.count(sources);
    long sums = 2 * asked * LevelEntries.SLOTS * shape.headDim() * DType.F32.bytes();
    return Math.max(shape.heads() * sums, LevelEntries.layerBytes(shape));
  }

  /** Keeps queries of a layer at a scale [heads, tokens, head_dim]. */
  void sample(int layer, int scale, Tensor q) {
    queries.add(layer, scale, q);
  }

  /**
   * Measures the layers from {@code first} on, once all scales are drawn.
   *
   * @param k keys of the last scale [layers, heads, tokens, head_dim]
   * @param v values, same shape
   * @param keys of all other scales [layers, heads, cached tokens, head_dim]
   * @param values same shape
   */
  void measure(int first, Tensor k, Tensor v, Tensor keys, Tensor values) {
    try (Scope _ = Scope.open()) {
      costs.add(moves.squares(queries.of(first, k.size(0)), k, v, keys, values));
    }
  }

  /**
   * Costs [source][layer][head][level], once the last scale is drawn; level 0 is dropped, then come
   * those of {@link io.heatkv.schedule.Level#ALL}.
   */
  double[][][][] costs() {
    double[][][][] all = new double[sources][shape.layers()][shape.heads()][1 + LevelEntries.SLOTS];
    double[] measured = costs.take();
    int at = 0;
    for (int l = 0; l < shape.layers(); l++) {
      for (int s = 0; s < sources; s++) {
        for (int h = 0; h < shape.heads(); h++) {
          double[] levels = all[s][l][h];
          levels[0] = measured[at];
          System.arraycopy(measured, at + 1, levels, 2, LevelEntries.SLOTS - 1);
          at += LevelEntries.SLOTS;
        }
      }
    }
    return all;
  }

  @Override
  public void close() {
    costs.close();
  }
}
