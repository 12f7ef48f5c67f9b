package io.heatkv.schedule;

import io.heatkv.error.UserException;

/** What a calibration tells of a model's heads: what an allocation reads. */
public interface HeadRanking {
  /** Heads of every removable scale by ascending S-CAS. */
  HeadOrders orders();

  /**
   * What removing each atom costs.
   *
   * @throws UserException if it wasn't measured
   */
  RemovalCosts removalCosts();

  /**
   * What each level of each atom costs.
   *
   * @throws UserException if it wasn't measured
   */
  LevelCosts levelCosts();
}
