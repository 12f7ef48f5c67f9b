package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;

/**
 * A rule under a budget. The budget bounds the live head-tokens of all layers after every layer of
 * every scale, as HeatKV's does, and is allocated as one arena.
 */
public final class EvictionPolicy implements CachePolicy {
  private final String name;
  private final EvictionRule rule;
  private final double budget;

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

  /**
   * Most bytes that will be live: what the heads' whole numbers of tokens leave of the budget.
   *
   * @throws UserException if the budget is below the rule's floor
   */
  public long peakBytes(KvShape shape) {
    return quotas(shape).peak() * shape.bytesPerHeadToken();
  }

  /**
   * Allocates the budget.
   *
   * @throws UserException if the budget is below the rule's floor
   */
  @Override
  public KvCache open(Backend backend, Device device, KvShape shape) {
    // Nothing to drop: the full cache's own arithmetic, so that the bits are the same.
    return quotas(shape).peak() == Quotas.allTokens(shape)
        ? new FullCache(backend, device, shape)
        : evicting(backend, device, shape);
  }

  EvictionCache evicting(Backend backend, Device device, KvShape shape) {
    return new EvictionCache(backend, device, shape, rule, quotas(shape), capacity(shape));
  }

  /**
   * The budget in bytes, rounded down to whole head-tokens.
   *
   * @throws UserException if the budget is below the rule's floor
   */
  @Override
  public long bytes(KvShape shape) {
    quotas(shape);
    return capacity(shape) * shape.bytesPerHeadToken();
  }

  private Quotas quotas(KvShape shape) {
    return Quotas.fit(name, rule, shape, capacity(shape));
  }

  /** Head-tokens of the arena. */
  private int capacity(KvShape shape) {
    double slots = Math.floor(budget * Quotas.allTokens(shape));
    if (slots > Integer.MAX_VALUE) {
      throw new UserException(
          "the KV budget has more than 2^31 - 1 entries; use a smaller budget or scale schedule");
    }
    return (int) slots;
  }
}
