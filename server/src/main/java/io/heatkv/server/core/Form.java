package io.heatkv.server.core;

import io.heatkv.MemoryNeed;
import io.heatkv.cache.CachePolicy;
import io.heatkv.scale.ScaleSchedule;

/**
 * What the pictures of one pass have in common. Two forms are the same if they are the same object,
 * see {@link Forms}.
 */
public final class Form {
  private final ScaleSchedule schedule;
  private final CachePolicy policy;
  // What a pass takes without pictures, and each picture adds.
  private final MemoryNeed fixed;
  private final MemoryNeed each;
  private volatile double seconds;
  private volatile double decodeSeconds;

  Form(ScaleSchedule schedule, CachePolicy policy, MemoryNeed one, MemoryNeed two) {
    this.schedule = schedule;
    this.policy = policy;
    each = new MemoryNeed(0, two.cache() - one.cache(), two.scratch() - one.scratch());
    fixed = new MemoryNeed(0, one.cache() - each.cache(), one.scratch() - each.scratch());
  }

  public ScaleSchedule schedule() {
    return schedule;
  }

  public CachePolicy policy() {
    return policy;
  }

  /** What a pass of some pictures takes besides the weights. */
  public MemoryNeed need(int pictures) {
    return new MemoryNeed(
        0, fixed.cache() + pictures * each.cache(), fixed.scratch() + pictures * each.scratch());
  }

  /** Seconds that a picture took of late, its share of the pass; 0 before one was drawn. */
  public double secondsPerPicture() {
    return seconds;
  }

  /** Share of {@link #secondsPerPicture} that turning codes into pixels takes. */
  public double decodeShare() {
    return seconds == 0 ? 1 : decodeSeconds / seconds;
  }

  /** A pass was drawn. */
  void took(int pictures, double passSeconds, double passDecodeSeconds) {
    seconds = smoothed(seconds, passSeconds / pictures);
    decodeSeconds = smoothed(decodeSeconds, passDecodeSeconds / pictures);
  }

  private static double smoothed(double before, double now) {
    return before == 0 ? now : 0.7 * before + 0.3 * now;
  }
}
