package io.heatkv.tensor;

import org.jspecify.annotations.Nullable;

/**
 * {@link DeviceOps} composed of {@link Ops}, as the CPU runs them. CUDA falls back to all but
 * attention.
 */
public final class PlainOps implements DeviceOps {
  // The smallest norm that F.normalize divides by.
  private static final double MIN_NORM = 1e-12;

  public PlainOps() {}

  @Override
  public void addGated(Tensor x, Tensor y, @Nullable Tensor gate) {
    try (Scope _ = Scope.open()) {
      if (gate == null) {
        Ops.addInPlace(x, y);
      } else {
        Ops.addProductInPlace(x, y.to(DType.F32), gate);
      }
    }
  }

  @Override
  public Tensor norm(Tensor x, Tensor gain, Tensor shift, double eps, DType dtype) {
    if (gain.rank() == 1) {
      return Ops.layerNorm(x, gain, shift, eps).to(dtype);
    }
    // A row's gain and shift are the affine parameters of a plain layer norm: one pass over x.
    Tensor result = Tensor.empty(x.backend(), dtype, x.device(), x.shape());
    for (long row = 0; row < x.size(0); row++) {
      try (Scope _ = Scope.open()) {
        result
            .select(0, row)
            .copyFrom(
                Ops.layerNorm(x.select(0, row), gain.select(0, row), shift.select(0, row), eps));
      }
    }
    return result;
  }

  @Override
  public Tensor addNorm(
      Tensor x, Tensor y, @Nullable Tensor gate, Tensor gain, Tensor shift, double eps) {
    addGated(x, y, gate);
    return norm(x, gain, shift, eps, y.dtype());
  }

  @Override
  public Tensor linear(Tensor x, Tensor weight, Tensor bias) {
    return Ops.linear(x, weight, bias);
  }

  @Override
  public Tensor linearGelu(Tensor x, Tensor weight, Tensor bias) {
    return Ops.linearGelu(x, weight, bias);
  }

  @Override
  public Heads splitHeads(
      Tensor projected,
      Tensor factors,
      Tensor positions,
      boolean normalise,
      @Nullable Place place) {
    long rows = projected.size(0);
    long tokens = projected.size(1);
    long heads = projected.size(3);
    long dim = projected.size(4);
    try (Scope scope = Scope.open()) {
      Tensor queryKey = projected.narrow(2, 0, 2).to(DType.F32);
      Tensor factor = factors.reshape(1, 1, 2, heads, 1);
      if (normalise) {
        Tensor norm = Ops.sqrt(Ops.sum(queryKey.mul(queryKey), true, -1));
        Tensor least = Tensor.full(norm.backend(), MIN_NORM, DType.F32, norm.device(), 1);
        factor = factor.div(Ops.maximum(norm, least));
      }
      Tensor pairs =
          Ops.asComplex(queryKey.mul(factor).reshape(rows, tokens, 2, heads, dim / 2, 2));
      Tensor table = positions.reshape(1, tokens, 1, 1, dim / 2);
      WholeVectors.ranges(
          pairs,
          1,
          (start, length) ->
              pairs.narrow(1, start, length).mulInPlace(table.narrow(1, start, length)));
      Tensor rotated = Ops.asReal(pairs).reshape(rows, tokens, 2, heads, dim).to(projected.dtype());
      Tensor q = scope.keep(rotated.select(2, 0).transpose(1, 2));
      Tensor k = rotated.select(2, 1).transpose(1, 2);
      Tensor v = projected.select(2, 2).transpose(1, 2);
      if (place == null) {
        return new Heads(q, scope.keep(k), scope.keep(v));
      }
      place.keys().copyFrom(k);
      place.values().copyFrom(v);
      return new Heads(q, place.keys(), place.values());
    }
  }

  @Override
  public void append(Tensor keys, Tensor values, long start, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      keys.narrow(2, start, k.size(2)).copyFrom(k);
      values.narrow(2, start, k.size(2)).copyFrom(v);
    }
  }

  @Override
  public Tensor joinHeads(Tensor attended) {
    return attended
        .transpose(1, 2)
        .reshape(attended.size(0), attended.size(2), attended.size(1) * attended.size(3));
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, double scale) {
    return Ops.attention(q, k, v, null, scale);
  }

  @Override
  public Ops.AttentionParts attentionWithLse(Tensor q, Tensor k, Tensor v, double scale) {
    return Ops.attentionWithLse(q, k, v, scale);
  }

  @Override
  public Tensor attentionOverBoth(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale) {
    try (Scope scope = Scope.open()) {
      return scope.keep(
          attention(q, Ops.cat(2, earlierKeys, k), Ops.cat(2, earlierValues, v), scale));
    }
  }

  @Override
  public Ops.AttentionParts attentionOverBothWithLse(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale) {
    try (Scope scope = Scope.open()) {
      Ops.AttentionParts parts =
          attentionWithLse(q, Ops.cat(2, earlierKeys, k), Ops.cat(2, earlierValues, v), scale);
      scope.keep(parts.output());
      scope.keep(parts.lse());
      return parts;
    }
  }

  @Override
  public boolean joinsKeys() {
    return true;
  }

  @Override
  public Tensor attentionOverRetained(
      Tensor q, Tensor k, Tensor v, Tensor retained, HeadRanges ranges, double scale) {
    if (ranges.isEven()) {
      Tensor each = retained.reshape(2, q.size(0), ranges.heads(), ranges.longest(), q.size(3));
      return attentionOverBoth(q, k, v, each.select(0, 0), each.select(0, 1), scale);
    }
    // Tokens before heads: the output projection then reads it without a copy.
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3))
            .transpose(1, 2);
    long start = 0;
    for (int head = 0; head < ranges.heads(); head++) {
      try (Scope _ = Scope.open()) {
        Tensor past = retained.narrow(2, start, ranges.length(head)).unsqueeze(2);
        out.narrow(1, head, 1)
            .copyFrom(
                attentionOverBoth(
                    q.narrow(1, head, 1),
                    k.narrow(1, head, 1),
                    v.narrow(1, head, 1),
                    past.select(0, 0),
                    past.select(0, 1),
                    scale));
      }
      start += ranges.length(head);
    }
    return out;
  }

  /**
   * Joins attention over disjoint keys by the log-sum-exp of their scores.
   *
   * @param a output over some keys [b, h, n, d]
   * @param lseA [b, h, n], float32
   * @param b output over others
   * @param ends of the second part's keys by head, int32 [b * h + 1]; heads without any take the
   *     first part; null where all have some
   */
  public Tensor merge(Tensor a, Tensor lseA, Tensor b, Tensor lseB, @Nullable Tensor ends) {
    try (Scope scope = Scope.open()) {
      Tensor weight = Ops.sigmoid(lseA.sub(lseB)).unsqueeze(3);
      Tensor second = b.to(DType.F32);
      Tensor merged = second.add(a.to(DType.F32).sub(second).mul(weight)).to(a.dtype());
      if (ends != null) {
        long sequences = ends.count() - 1;
        Tensor some = Ops.less(ends.narrow(0, 0, sequences), ends.narrow(0, 1, sequences));
        merged = Ops.where(some.reshape(a.size(0), a.size(1), 1, 1), merged, a);
      }
      return scope.keep(merged);
    }
  }

  @Override
  public Tensor columnSums(Tensor q, Tensor k, @Nullable Tensor earlier, @Nullable Tensor lse) {
    return ColumnSums.of(q, k, earlier);
  }

  @Override
  public Arranged arrange(Tensor kept, int pictureRows, int held, int count, Tensor numbers) {
    return new SlotOrder(kept, pictureRows, held, count, numbers).arrange();
  }

  @Override
  public Tensor gatherSlots(Tensor arena, Tensor slots) {
    return Ops.indexSelect(arena, 2, slots);
  }

  @Override
  public void scatterSlots(Tensor arena, Tensor slots, Tensor heads, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      scatter(arena.select(0, 0), slots, heads, k);
      scatter(arena.select(0, 1), slots, heads, v);
    }
  }

  private static void scatter(Tensor target, Tensor slots, Tensor heads, Tensor source) {
    Tensor kept = heads.count() == source.size(1) ? source : Ops.indexSelect(source, 1, heads);
    Ops.indexCopy(target, 1, slots, kept.reshape(source.size(0), slots.count(), source.size(3)));
  }

  @Override
  public void replaceSlots(
      Tensor arena, Tensor slots, Tensor entries, @Nullable Tensor held, Tensor k, Tensor v) {
    for (int part = 0; part < 2; part++) {
      try (Scope _ = Scope.open()) {
        Tensor all = part == 0 ? k : v;
        if (held != null) {
          Tensor before = held.select(0, part);
          all =
              Ops.cat(
                  2,
                  before.reshape(k.size(0), k.size(1), before.size(1) / k.size(1), k.size(3)),
                  all);
        }
        long apart = k.size(0) * slots.count() / entries.count();
        Tensor found = Ops.indexSelect(all.reshape(apart, -1, k.size(3)), 1, entries);
        Ops.indexCopy(
            arena.select(0, part), 1, slots, found.reshape(k.size(0), slots.count(), k.size(3)));
      }
    }
  }

  @Override
  public Tensor attendAndStore(
      Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, Tensor tables, double scale) {
    try (Scope scope = Scope.open()) {
      Tensor attended =
          step.reads().isEmpty()
              ? attention(q, k, v, scale)
              : PlainMaps.attend(q, k, v, arena, step, scale);
      PlainMaps.store(arena, step, k, v);
      return scope.keep(attended);
    }
  }

  @Override
  public long workspace(Tensor k, StoredStep step) {
    int dim = Math.toIntExact(k.size(3));
    long joined = step.entries() == 0 ? 0 : 2L * PlainMaps.joined(step, k) * dim * Float.BYTES;
    return k.size(0) * Math.max(joined, StoredBytes.copied(step.from(), dim));
  }

  @Override
  public Tensor groupNorm(
      Tensor x, int groups, Tensor weight, Tensor bias, double eps, boolean silu) {
    Tensor normed = Ops.groupNorm(x, groups, weight, bias, eps);
    return silu ? Ops.siluInPlace(normed) : normed;
  }

  @Override
  public Tensor quantise(Tensor x) {
    return PlainMaps.quantise(x);
  }

  @Override
  public Tensor dequantise(Tensor bytes, DType dtype) {
    return PlainMaps.dequantise(bytes, dtype);
  }

  @Override
  public String description() {
    return "composed operators";
  }
}
