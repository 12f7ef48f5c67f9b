package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A rule under a budget. The budget bounds the live head-tokens of all layers after every layer of
 * every scale, as HeatKV's does, and is allocated as one store.
 */
public final class EvictionPolicy implements CachePolicy {
  private final String name;
  private final EvictionRule rule;
  private final double budget;
  private final KvStorage type;
  private final Map<Sizes, Fitted> fitted = new ConcurrentHashMap<>();

  /** What a plan depends on: it is the same for any number of pictures. */
  private record Sizes(int layers, int heads, int headDim, ScaleGrids grids) {}

  private record Fitted(Quotas quotas, EvictionPlan plan) {}

  /**
   * @param name on the command line and in reports
   * @param budget ratio of the full cache's bytes, from 0 to 1: see {@link KvStorage#fullBytes}
   * @param type how kept tokens are stored
   */
  public EvictionPolicy(String name, EvictionRule rule, double budget, KvStorage type) {
    this.name = name;
    this.rule = rule;
    this.budget = budget;
    this.type = type;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double budget() {
    return budget;
  }

  /** The budget, rounded down to whole head-tokens; heads' whole tokens may leave some of it. */
  @Override
  public KvPlan plan(KvShape shape) {
    // Nothing to drop: the full cache's own arithmetic, so that the bits are the same.
    if (budget >= 1) {
      return KvPlan.full(shape);
    }
    Fitted known = fitted(shape);
    KvParts parts = type.parts(shape, capacity(shape));
    return new KvPlan(
        type.bytesPerHeadToken(shape) * capacity(shape),
        new KvParts(parts.numbers(), parts.loss(), EvictionCache.tableBytes(known.plan, shape)),
        type.bytesPerHeadToken(shape) * known.quotas.peak(),
        shape.bytesPerHeadToken() * capacity(shape) / shape.layers(),
        (backend, device) -> evicting(backend, device, shape));
  }

  EvictionCache evicting(Backend backend, Device device, KvShape shape) {
    return new EvictionCache(backend, device, shape, fitted(shape).plan, type, capacity(shape));
  }

  private Fitted fitted(KvShape shape) {
    return fitted.computeIfAbsent(
        new Sizes(shape.layers(), shape.heads(), shape.headDim(), shape.grids()),
        _ -> {
          int capacity = capacity(shape);
          Quotas quotas = Quotas.fit(name, rule, shape, type, capacity);
          return new Fitted(quotas, new EvictionPlan(rule, shape, quotas, capacity));
        });
  }

  /** Head-tokens of the store. */
  private int capacity(KvShape shape) {
    double slots = budget * Quotas.allTokens(shape);
    if (type == KvStorage.INT8) {
      // More tokens fit than at 16 bits, but there are no more than all.
      slots *= type.fullBytes(shape) / (double) Quotas.allTokens(shape);
      slots = Math.min(slots / type.bytesPerHeadToken(shape), (double) Quotas.allTokens(shape));
    }
    if (slots > Integer.MAX_VALUE) {
      throw new UserException(
          "the KV budget has more than 2^31 - 1 entries; use a smaller budget or smaller grids");
    }
    return (int) Math.floor(slots);
  }
}
