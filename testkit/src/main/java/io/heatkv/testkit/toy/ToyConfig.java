package io.heatkv.testkit.toy;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sizes of a model.
 *
 * @param layers of the transformer
 */
public record ToyConfig(int layers) {
  /** What it draws; the row after the last one of the embedding stands for no class. */
  public static final List<String> CLASSES = List.of("circle", "square", "cross");

  /** Grids that it draws by default; others may have no more scales and no larger edges. */
  public static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x3,3x4,4x5,5x7");

  static final int HEADS = 2;
  static final int HEAD_DIM = 16;
  static final int WIDTH = HEADS * HEAD_DIM;
  static final int ENTRIES = 11;
  static final int CHANNELS = 3;

  /** Pixels of a token along an edge. */
  static final int STRIDE = 4;

  /** Reads the sizes off the shapes of the weights. */
  static ToyConfig infer(Checkpoint checkpoint) {
    int layers = 0;
    while (checkpoint.find("layers." + layers + ".qkv.weight").isPresent()) {
      layers++;
    }
    return new ToyConfig(layers);
  }

  /**
   * The class of a name or index.
   *
   * @throws UserException naming all classes if there is none
   */
  static int classOf(String prompt) {
    String name = prompt.strip();
    for (int i = 0; i < CLASSES.size(); i++) {
      if (name.equals(CLASSES.get(i)) || name.equals(Integer.toString(i))) {
        return i;
      }
    }
    throw new UserException(
        "class '%s' is unknown; expected %s, or an index from 0 to %d"
            .formatted(name, String.join(", ", CLASSES), CLASSES.size() - 1));
  }

  /**
   * @throws UserException if the grids are more or larger than it learned
   */
  static void requireDrawable(ScaleGrids grids) {
    ScaleSize most = SCALES.last();
    if (grids.count() > SCALES.count()
        || grids.last().height() > most.height()
        || grids.last().width() > most.width()) {
      throw new UserException(
          "the grids %s are more or larger than %s; expected no more than those"
              .formatted(grids, SCALES));
    }
  }

  /** Names and shapes of all weights. */
  Map<String, long[]> shapes() {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put("class_embedding", new long[] {CLASSES.size() + 1, WIDTH});
    shapes.put("scale_embedding", new long[] {SCALES.count(), WIDTH});
    shapes.put("row_embedding", new long[] {SCALES.last().height(), WIDTH});
    shapes.put("column_embedding", new long[] {SCALES.last().width(), WIDTH});
    linear(shapes, "code", CHANNELS, WIDTH);
    for (int layer = 0; layer < layers; layer++) {
      linear(shapes, "layers." + layer + ".qkv", WIDTH, 3 * WIDTH);
      linear(shapes, "layers." + layer + ".out", WIDTH, WIDTH);
      linear(shapes, "layers." + layer + ".up", WIDTH, 2 * WIDTH);
      linear(shapes, "layers." + layer + ".down", 2 * WIDTH, WIDTH);
    }
    linear(shapes, "head", WIDTH, ENTRIES);
    shapes.put("codebook", new long[] {ENTRIES, CHANNELS});
    linear(shapes, "decoder", CHANNELS, 3 * STRIDE * STRIDE);
    linear(shapes, "encoder", 3 * STRIDE * STRIDE, CHANNELS);
    return shapes;
  }

  private static void linear(Map<String, long[]> shapes, String name, int in, int out) {
    shapes.put(name + ".weight", new long[] {out, in});
    shapes.put(name + ".bias", new long[] {out});
  }
}
