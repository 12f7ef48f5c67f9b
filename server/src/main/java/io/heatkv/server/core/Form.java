package io.heatkv.server.core;

import io.heatkv.cache.CachePolicy;
import io.heatkv.load.MemoryNeed;
import io.heatkv.scale.ScaleGrids;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntFunction;

/**
 * What the pictures of one pass have in common. Two forms are the same if they are the same object,
 * see {@link Forms}.
 */
public final class Form {
  private final ScaleGrids grids;
  private final CachePolicy policy;
  private final IntFunction<MemoryNeed> needs;
  private final Map<Integer, MemoryNeed> known = new ConcurrentHashMap<>();
  private volatile double seconds;
  private volatile double decodeSeconds;

  /**
   * @param needs of a number of pictures
   */
  Form(ScaleGrids grids, CachePolicy policy, IntFunction<MemoryNeed> needs) {
    this.grids = grids;
    this.policy = policy;
    this.needs = needs;
  }

  public ScaleGrids grids() {
    return grids;
  }

  public CachePolicy policy() {
    return policy;
  }

  /** What a pass of some pictures takes besides the weights. */
  public MemoryNeed need(int pictures) {
    return known.computeIfAbsent(pictures, needs::apply);
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
