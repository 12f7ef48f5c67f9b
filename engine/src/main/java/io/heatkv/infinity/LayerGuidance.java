package io.heatkv.infinity;

import io.heatkv.family.PictureRequest;
import io.heatkv.family.Run;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * Classifier-free guidance on the outputs of chosen blocks (cfg_insertion_layer &lt; 0): both rows
 * of a picture become {@code cfg * conditional + (1 - cfg) * unconditional}.
 *
 * @param pictures of the pass, in its order
 * @param scale whose strength is applied
 */
record LayerGuidance(List<PictureRequest> pictures, int scale) {
  /** Whether the output of a block is one of the chosen, counted as {@link #apply} does. */
  boolean changes(int fromEnd) {
    return pictures.getFirst().sampling().guidedLayers().contains(fromEnd);
  }

  /** Whether no output of a block is changed. */
  boolean changesNothing() {
    return pictures.getFirst().sampling().guidedLayers().isEmpty();
  }

  /**
   * Guides the output of a block in place, if it is one of the chosen.
   *
   * @param fromEnd the block, counted from the end: -1 is the last
   * @param x [pictures R, tokens, width]
   */
  void apply(int fromEnd, Tensor x) {
    if (!changes(fromEnd)) {
      return;
    }
    for (Run run : Run.of(pictures, options -> options.cfg(scale))) {
      double cfg = run.sampling().cfg(scale);
      if (cfg != 1) {
        try (Scope _ = Scope.open()) {
          Tensor rows = run.of(x.reshape(-1, 2, x.size(1), x.size(2)));
          Tensor conditional = rows.select(1, 0);
          Tensor unconditional = rows.select(1, 1);
          Tensor guided = conditional.mul(cfg).addScaled(unconditional, 1 - cfg);
          conditional.copyFrom(guided);
          unconditional.copyFrom(guided);
        }
      }
    }
  }
}
