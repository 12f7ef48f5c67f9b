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
  private final Map<Sizes, Quotas> quotas = new ConcurrentHashMap<>();

  /** What quotas depend on: they are the same for any number of pictures. */
  private record Sizes(int layers, int heads, int headDim, ScaleGrids grids) {}

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
    Quotas fitted = quotas(shape);
    // Nothing to drop: the full cache's own arithmetic, so that the bits are the same.
    return budget >= 1
        ? KvPlan.full(shape)
        : new KvPlan(
            type.bytesPerHeadToken(shape) * capacity(shape),
            type.parts(shape, capacity(shape)),
            type.bytesPerHeadToken(shape) * fitted.peak(),
            shape.bytesPerHeadToken() * capacity(shape) / shape.layers(),
            (backend, device) -> evicting(backend, device, shape));
  }

  EvictionCache evicting(Backend backend, Device device, KvShape shape) {
    return new EvictionCache(backend, device, shape, rule, quotas(shape), type, capacity(shape));
  }

  private Quotas quotas(KvShape shape) {
    return quotas.computeIfAbsent(
        new Sizes(shape.layers(), shape.heads(), shape.headDim(), shape.grids()),
        _ -> Quotas.fit(name, rule, shape, type, capacity(shape)));
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
