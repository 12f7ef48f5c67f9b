package io.heatkv.schedule;

/** A plan of what is stored where and at which level, layer by layer and scale by scale. */
public interface LevelSteps {
  /** Granules of head_dim / 2 bytes of the arena, in each row. */
  int granules();

  /** What a layer does at a scale; the last scale writes and moves nothing. */
  LevelStep step(int scale, int layer);

  /**
   * Layers whose tables are on a device at a time while a scale is drawn.
   *
   * @return where each group of layers ends, the last one at the number of layers
   */
  int[] groups(int scale);
}
