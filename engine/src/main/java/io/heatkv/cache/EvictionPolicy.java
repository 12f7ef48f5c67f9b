package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleSchedule;
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
  private final Map<Sizes, Quotas> quotas = new ConcurrentHashMap<>();

  /** What quotas depend on: they are the same for any number of pictures. */
  private record Sizes(int layers, int heads, ScaleSchedule schedule) {}

  /**
   * @param name on the command line and in reports
   * @param budget ratio of the full cache, from 0 to 1
   */
  public EvictionPolicy(String name, EvictionRule rule, double budget) {
    this.name = name;
    this.rule = rule;
    this.budget = budget;
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
    return fitted.peak() == Quotas.allTokens(shape)
        ? KvPlan.full(shape)
        : new KvPlan(
            KvStore.bytes(shape, capacity(shape)),
            KvStore.bytes(shape, fitted.peak()),
            (backend, device) -> evicting(backend, device, shape));
  }

  EvictionCache evicting(Backend backend, Device device, KvShape shape) {
    return new EvictionCache(backend, device, shape, rule, quotas(shape), capacity(shape));
  }

  private Quotas quotas(KvShape shape) {
    return quotas.computeIfAbsent(
        new Sizes(shape.layers(), shape.heads(), shape.schedule()),
        _ -> Quotas.fit(name, rule, shape, capacity(shape)));
  }

  /** Head-tokens of the store. */
  private int capacity(KvShape shape) {
    double slots = Math.floor(budget * Quotas.allTokens(shape));
    if (slots > Integer.MAX_VALUE) {
      throw new UserException(
          "the KV budget has more than 2^31 - 1 entries; use a smaller budget or scale schedule");
    }
    return (int) slots;
  }
}
