package io.heatkv.cache;

import io.heatkv.schedule.CacheSchedule;
import java.util.Optional;

/**
 * What a generation remembers of earlier scales. A policy may serve many generations, also at a
 * time; each opens a cache of its own.
 */
public interface CachePolicy {
  /** Name on the command line and in reports. */
  String name();

  /** Ratio of the full cache that is allowed. */
  default double budget() {
    return 1;
  }

  /**
   * Plans the storage for a shape; planning the same model and scales again costs nothing.
   *
   * @throws io.heatkv.error.UserException if the policy doesn't fit the model or the grids, or its
   *     budget is below its floor
   */
  KvPlan plan(KvShape shape);

  /** What is stored when, where that is fixed beforehand. */
  default Optional<CacheSchedule> schedule() {
    return Optional.empty();
  }

  /** Keeps everything. */
  CachePolicy FULL =
      new CachePolicy() {
        @Override
        public String name() {
          return "full";
        }

        @Override
        public KvPlan plan(KvShape shape) {
          return KvPlan.full(shape);
        }
      };
}
