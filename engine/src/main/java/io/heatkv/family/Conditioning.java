package io.heatkv.family;

import io.heatkv.scale.ScaleGrids;
import java.util.List;

/**
 * What pictures are conditioned by, encoded once: passes begin from it, several of the same
 * pictures if need be. Belongs to its {@link NextScaleModel} and is closed before it.
 */
public interface Conditioning extends AutoCloseable {
  /** What the user should know, such as a prompt that was cut; each line once. */
  List<String> warnings();

  /** Begins a pass over the grids; it may outlive this conditioning. */
  Pass begin(ScaleGrids grids);

  @Override
  void close();
}
