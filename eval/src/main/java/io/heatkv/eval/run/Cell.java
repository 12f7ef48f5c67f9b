package io.heatkv.eval.run;

import io.heatkv.cache.CachePolicy;

/**
 * A policy under a budget.
 *
 * @param policy its name
 * @param budget as it was asked for, such as {@code 0.1} or {@code 10%}
 * @param ratio of the full cache that the budget allows
 * @param cache makes the caches
 */
public record Cell(String policy, String budget, double ratio, CachePolicy cache) {
  /** Policy and budget for people. */
  public String label() {
    return policy + " " + budget;
  }
}
