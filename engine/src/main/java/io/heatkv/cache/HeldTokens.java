package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Sorting;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What a group of heads holds in each row by an {@link AttentionRule}. Scores are sorted and slots
 * shared out on the device, where the host never waits for them.
 */
final class HeldTokens implements AutoCloseable {
  private final KvShape shape;
  private final int layer;
  private final EvictionPlan.Group group;
  private final Counting counting;
  private final Scope onDevice = Scope.detached();
  // [rows, heads, held], by ascending token. Their numbers, int32; null as long as all are held.
  private @Nullable Tensor tokens;
  // The places of each among its head's slots, int64; null where they are in the same order.
  private @Nullable Tensor places;
  // The attention that each has got so far, float32; null where nobody asks.
  private @Nullable Tensor accumulated;

  /**
   * Numbers from 0 on, in three types.
   *
   * @param longs int64
   * @param ints int32
   * @param doubles float64, since sums of integers have no function in the stable ABI
   */
  record Counting(Tensor longs, Tensor ints, Tensor doubles) {
    /** From int64 numbers, more than there are tokens, and at least as many as rows' heads. */
    static Counting of(Tensor longs, Scope owner) {
      return new Counting(
          longs, owner.adopt(longs.to(DType.I32)), owner.adopt(longs.to(DType.F64)));
    }
  }

  HeldTokens(KvShape shape, int layer, EvictionPlan.Group group, Counting counting) {
    this.shape = shape;
    this.layer = layer;
    this.group = group;
    this.counting = counting;
  }

  /** Bytes of what is known of a group's tokens in the end. */
  static long bytes(AttentionRule rule, KvShape shape, EvictionPlan.Group group) {
    boolean drops = group.counts().getLast() < shape.grids().cachedTokens();
    int each =
        (drops ? DType.I32.bytes() : 0)
            + (drops && shape.pictureRows() > 1 ? DType.I64.bytes() : 0)
            + (rule.accumulates() ? DType.F32.bytes() : 0);
    return (long) each * shape.batch() * group.heads().size() * group.counts().getLast();
  }

  /**
   * Holds all tokens of a scale besides those before.
   *
   * @param observed as {@link #choose} has it; null where the rule doesn't accumulate
   */
  void keepAll(int scale, long rows, @Nullable Tensor observed) {
    try (Scope _ = Scope.open()) {
      Tensor entries = entries(scale, rows);
      Tensor sums = observed == null ? null : accumulate(attention(observed, entries));
      Tensor all = tokens == null ? null : candidates(scale, rows);
      hold(all, entries, sums);
    }
  }

  /**
   * Chooses what is held after a scale.
   *
   * @param observed attention to what each head's slots hold and to the scale's tokens, float32
   *     [rows, heads, candidates]
   * @param isObserved see {@link ObservedCandidates}
   * @return what each slot gets, see {@link KvStore#replace}: int64 [rows * heads * quota]
   */
  Tensor choose(AttentionRule rule, int scale, Tensor observed, Tensor isObserved) {
    int quota = group.counts().get(scale);
    long rows = observed.size(0);
    try (Scope scope = Scope.open()) {
      Tensor entries = entries(scale, rows);
      Tensor attention = attention(observed, entries);
      Tensor sums = rule.accumulates() ? accumulate(attention) : attention;
      Tensor all = candidates(scale, rows);
      Tensor scores =
          rule.scores(
              new ObservedCandidates(
                  shape.grids(),
                  scale,
                  layer,
                  group.heads(),
                  quota,
                  all,
                  attention,
                  sums,
                  isObserved));
      if (!Arrays.equals(scores.shape(), observed.shape())) {
        throw new IllegalArgumentException(
            "scores of %s for candidates of %s"
                .formatted(Arrays.toString(scores.shape()), Arrays.toString(observed.shape())));
      }
      Tensor best = best(scores, quota);
      Tensor kept = entries == null ? best : Sorting.gather(entries, best);
      DeviceOps.Arranged arranged =
          kept.backend()
              .ops(kept.device())
              .arrange(
                  kept,
                  shape.pictureRows(),
                  group.held(scale),
                  Math.toIntExact(observed.size(2)),
                  counting.doubles);
      hold(
          Sorting.gather(all, best),
          arranged.places(),
          rule.accumulates() ? Sorting.gather(sums, best) : null);
      return scope.keep(arranged.entries());
    }
  }

  /** Where each candidate is among its head's slots and the scale's tokens; null if in order. */
  private @Nullable Tensor entries(int scale, long rows) {
    return places == null
        ? null
        : Ops.cat(2, places, repeated(counting.longs, group.held(scale), scale, rows));
  }

  private static Tensor attention(Tensor observed, @Nullable Tensor entries) {
    return entries == null ? observed : Sorting.gather(observed, entries);
  }

  private Tensor accumulate(Tensor attention) {
    if (accumulated == null) {
      return attention;
    }
    long before = accumulated.size(2);
    return Ops.cat(
        2,
        attention.narrow(2, 0, before).add(accumulated),
        attention.narrow(2, before, attention.size(2) - before));
  }

  /** Numbers of the candidates' tokens, ascending. */
  private Tensor candidates(int scale, long rows) {
    ScaleGrids grids = shape.grids();
    if (tokens == null) {
      return counting.ints.narrow(0, 0, grids.offset(scale + 1)).expand(rows, heads(), -1);
    }
    return Ops.cat(2, tokens, repeated(counting.ints, grids.offset(scale), scale, rows));
  }

  /** As many numbers as a scale has tokens, for every head. */
  private Tensor repeated(Tensor numbers, int first, int scale, long rows) {
    return numbers.narrow(0, first, shape.grids().tokens(scale)).expand(rows, heads(), -1);
  }

  private long heads() {
    return group.heads().size();
  }

  /** The indices of the highest scores, ascending; of equal scores the later ones. */
  static Tensor best(Tensor scores, int count) {
    Tensor sorted = Sorting.sort(scores).indices();
    return Sorting.sort(sorted.narrow(-1, scores.size(-1) - count, count)).values();
  }

  private void hold(
      @Nullable Tensor newTokens, @Nullable Tensor newPlaces, @Nullable Tensor newSums) {
    tokens = swap(tokens, newTokens);
    places = swap(places, newPlaces);
    accumulated = swap(accumulated, newSums);
  }

  private @Nullable Tensor swap(@Nullable Tensor old, @Nullable Tensor next) {
    if (old != null) {
      old.release();
    }
    return next == null ? null : onDevice.adopt(next);
  }

  /** See {@link KvCache#removeRows}. */
  void removeRows(int first, int count) {
    try (Scope _ = Scope.open()) {
      hold(
          without(tokens, first, count),
          without(places, first, count),
          without(accumulated, first, count));
    }
  }

  private static @Nullable Tensor without(@Nullable Tensor rows, int first, int count) {
    if (rows == null) {
      return null;
    }
    long left = rows.size(0) - count;
    long moved = Math.min(count, left - first);
    return Ops.cat(
        0,
        rows.narrow(0, 0, first),
        rows.narrow(0, rows.size(0) - moved, moved),
        rows.narrow(0, first + count, left - first - moved));
  }

  /** Tokens that a head holds for a row, ascending; null if all so far. */
  int @Nullable [] tokens(int head, int row) {
    if (tokens == null) {
      return null;
    }
    try (Scope _ = Scope.open()) {
      return tokens.select(0, row).select(0, group.heads().indexOf(head)).toInts();
    }
  }

  @Override
  public void close() {
    onDevice.close();
  }
}
