package io.heatkv.family;

import io.heatkv.scale.ScaleGrids;
import java.util.List;
import java.util.concurrent.Executor;

/**
 * The pass that a model will draw first. While some weights are loaded, parts that are there
 * already run once: so libraries load and plan what the pass needs, which takes longer than it.
 *
 * @param pictures that are drawn
 * @param grids of their scales
 * @param beside runs a part beside the thread that loads
 */
public record FirstPass(List<PictureRequest> pictures, ScaleGrids grids, Executor beside) {
  public FirstPass {
    pictures = List.copyOf(pictures);
  }

  /** Runs a part. What fails in it, fails again when it is drawn, and is said then. */
  public static void attempt(Runnable part) {
    try {
      part.run();
    } catch (RuntimeException _) {
      // Said then.
    }
  }
}
