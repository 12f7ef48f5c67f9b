package io.heatkv.server.core;

import io.heatkv.Generation;
import java.time.Duration;

/** When a device's thread was last seen alive, and how long it may take to be seen again. */
final class Heartbeat {
  private volatile long last = System.nanoTime();
  private volatile long longest;

  void beat() {
    last = System.nanoTime();
  }

  /** Draws a scale between two beats. */
  void step(Generation generation) {
    beat();
    long start = last;
    generation.step();
    beat();
    longest = Math.max(longest, last - start);
  }

  Duration age() {
    return Duration.ofNanos(System.nanoTime() - last);
  }

  Duration longestStep() {
    return Duration.ofNanos(longest);
  }
}
