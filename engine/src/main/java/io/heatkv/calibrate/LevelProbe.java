package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

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
  private final LevelEntries entries;
  // Of each query, what its squares count in one of the two companies [queries, 1].
  private final Tensor shares;
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
    entries = new LevelEntries(backend, device, grids, storage);
    double all = 2.0 * shape.headDim() * (grids.totalTokens() - grids.offset(1));
    float[] each = new float[queries.start(sources) + queries.count(sources)];
    for (int t = 1; t <= sources; t++) {
      for (int i = 0; i < queries.count(t); i++) {
        each[queries.start(t) + i] = (float) (grids.tokens(t) / all / queries.count(t));
      }
    }
    try (Scope _ = Scope.open()) {
      shares = storage.adopt(Tensor.of(backend, each, each.length, 1).to(device));
    }
  }

  /** Bytes of the largest intermediate value of a layer. */
  long layerBytes() {
    long sums = 2 * shares.count() * LevelEntries.SLOTS * shape.headDim() * DType.F32.bytes();
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
    ScaleGrids grids = shape.grids();
    try (Scope _ = Scope.open()) {
      Tensor query = queries.of(first, k.size(0)).to(DType.F32);
      Tensor cached = Ops.stack(0, keys, values).to(DType.F32);
      ScaleParts parts = new ScaleParts(query, 1 + sources);
      parts.add(
          0, queries.start(sources), queries.count(sources), k.to(DType.F32), v.to(DType.F32));
      for (int s = 0; s < sources; s++) {
        Tensor source = cached.narrow(3, grids.offset(s), grids.tokens(s));
        parts.add(
            1 + s, queries.start(s), queries.count(s), source.select(0, 0), source.select(0, 1));
      }
      costs.add(costs(query, parts, entries.encode(cached)));
    }
  }

  /** Costs [layers, sources, heads, slots]. */
  private Tensor costs(Tensor query, ScaleParts parts, LevelEntries.Encoded encoded) {
    Tensor lse = parts.lse();
    Tensor weights = parts.weights().unsqueeze(4);
    // What each scale adds to the output, its mass as the last channel.
    Tensor sums = Ops.cat(4, parts.outputs().mul(weights), weights);
    List<Tensor> costs = new ArrayList<>();
    for (int s = 0; s < sources; s++) {
      int start = queries.start(s + 1);
      long count = query.size(2) - start;
      try (Scope scope = Scope.open()) {
        Tensor scales = sums.narrow(2, start, count);
        Tensor own = scales.select(3, 1 + s);
        Tensor few = Ops.sum(scales.narrow(3, 0, 1 + s), false, 3);
        Tensor all = few.add(Ops.sum(scales.narrow(3, 2 + s, sources - 1 - s), false, 3));
        LevelEntries.Sums levels =
            encoded.of(s, query.narrow(2, start, count), lse.narrow(2, start, count));
        Tensor squares = squares(levels, own, Ops.stack(0, all, few)).transpose(3, 4);
        Tensor both = Ops.matmul(squares, shares.narrow(0, start, count));
        costs.add(scope.keep(Ops.sum(both, false, 0, 4)));
      }
    }
    return Ops.stack(1, costs.toArray(Tensor[]::new));
  }

  /**
   * Squares of the moves in each company [companies, layers, heads, queries, slots]. The move is
   * {@code (c - m O - g) / (m + r)} for a level's sum c and mass m and the company's mass r, where
   * g, what c - m O is for the atom itself, is computed from the company: O is next to the atom's
   * own output where that has nearly all mass.
   *
   * @param own sum and mass of the atom [layers, heads, queries, head_dim + 1]
   * @param company of all others that are there [companies, layers, heads, queries, head_dim + 1]
   */
  private Tensor squares(LevelEntries.Sums levels, Tensor own, Tensor company) {
    int dim = shape.headDim();
    Tensor ownMass = own.narrow(3, dim, 1);
    Tensor rest = company.narrow(4, dim, 1).add(Float.MIN_NORMAL);
    Tensor mass = ownMass.add(rest);
    Tensor ownSum = own.narrow(3, 0, dim);
    Tensor restSum = company.narrow(4, 0, dim);
    Tensor output = ownSum.add(restSum).div(mass);
    Tensor itself = ownSum.sub(ownMass.mul(restSum).div(rest)).mul(rest.div(mass));
    Tensor moves = levels.values().sub(itself.unsqueeze(4));
    Tensor negative = output.mul(-1).unsqueeze(4);
    Ops.addProductInPlace(moves, levels.masses().unsqueeze(4), negative);
    Tensor moved = Ops.norm(moves, 5).div(levels.masses().add(rest));
    return moved.mul(moved);
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
