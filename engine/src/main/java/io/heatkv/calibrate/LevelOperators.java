package io.heatkv.calibrate;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.LevelMoves;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Composes of operators, in float32, how far levels move outputs: what the CPU runs, and the
 * definition of what others compute.
 */
final class LevelOperators implements LevelMoves {
  private final ScaleGrids grids;
  private final int sources;
  private final Maps maps;
  private final LevelEntries entries;

  /**
   * @param storage owns what is kept
   */
  LevelOperators(Backend backend, Device device, ScaleGrids grids, Maps maps, Scope storage) {
    this.grids = grids;
    this.maps = maps;
    sources = maps.sources();
    entries = new LevelEntries(backend, device, grids, storage);
  }

  @Override
  public Tensor squares(Tensor q, Tensor k, Tensor v, Tensor keys, Tensor values) {
    try (Scope scope = Scope.open()) {
      Tensor query = q.to(DType.F32);
      Tensor cached = Ops.stack(0, keys, values).to(DType.F32);
      ScaleParts parts = new ScaleParts(query, 1 + sources);
      parts.add(
          0, maps.queries()[sources], maps.queries(sources), k.to(DType.F32), v.to(DType.F32));
      for (int s = 0; s < sources; s++) {
        Tensor source = cached.narrow(3, grids.offset(s), grids.tokens(s));
        parts.add(
            1 + s, maps.queries()[s], maps.queries(s), source.select(0, 0), source.select(0, 1));
      }
      return scope.keep(squares(query, parts, entries.encode(cached)));
    }
  }

  /** Squares [layers, sources, heads, slots]. */
  private Tensor squares(Tensor query, ScaleParts parts, LevelEntries.Encoded encoded) {
    Tensor lse = parts.lse();
    Tensor weights = parts.weights().unsqueeze(4);
    // What each scale adds to the output, its mass as the last channel.
    Tensor sums = Ops.cat(4, parts.outputs().mul(weights), weights);
    List<Tensor> all = new ArrayList<>();
    for (int s = 0; s < sources; s++) {
      int start = maps.queries()[s + 1];
      long count = query.size(2) - start;
      try (Scope scope = Scope.open()) {
        Tensor scales = sums.narrow(2, start, count);
        Tensor own = scales.select(3, 1 + s);
        Tensor few = Ops.sum(scales.narrow(3, 0, 1 + s), false, 3);
        Tensor others = few.add(Ops.sum(scales.narrow(3, 2 + s, sources - 1 - s), false, 3));
        LevelEntries.Sums levels =
            encoded.of(s, query.narrow(2, start, count), lse.narrow(2, start, count));
        Tensor squares = squares(levels, own, Ops.stack(0, others, few)).transpose(3, 4);
        Tensor both = Ops.matmul(squares, maps.shares().narrow(0, start, count));
        all.add(scope.keep(Ops.sum(both, false, 0, 4)));
      }
    }
    return Ops.stack(1, all.toArray(Tensor[]::new));
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
    long dim = own.size(3) - 1;
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
}
