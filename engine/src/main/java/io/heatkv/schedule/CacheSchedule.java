package io.heatkv.schedule;

import java.util.Map;

/** What is in the cache when, and how: fixed before the first token. */
public sealed interface CacheSchedule permits PruningSchedule, LevelPlan {
  ScheduleShape shape();

  /** Ratio of the full cache that was asked for. */
  double budget();

  /** The most that is stored at a time as a ratio of the full cache, at 2 bytes a number. */
  double peakRatio();

  /** Atoms that a scale's attention finds, and how they are stored then. */
  Map<Atom, Level> seen(int scale);

  /** The schedule as a file: what is hashed. */
  String canonicalJson();

  /** SHA-256 of {@link #canonicalJson()}, 64 hexadecimal digits. */
  default String sha256() {
    return Sha256.of(canonicalJson());
  }
}
