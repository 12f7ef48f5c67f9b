package io.heatkv.eval.learned;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.TensorInfo;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * An input or output that a metric's contract asks for.
 *
 * @param type of its elements
 * @param shape sizes; {@link #ANY} for one that is not known before
 */
record Port(String name, OnnxJavaType type, long... shape) {
  static final long ANY = -1;

  /** Shapes of scores differ by their number of ones only. */
  static Port score() {
    return new Port("score", OnnxJavaType.FLOAT, 1);
  }

  static Port image(String name, int width, int height) {
    return new Port(name, OnnxJavaType.FLOAT, 1, 3, height, width);
  }

  /** Whether the model's tensor takes or gives this; its free sizes fit any. */
  boolean accepts(TensorInfo has) {
    long[] sizes = has.getShape();
    if (has.type != type) {
      return false;
    }
    if (name.equals("score")) {
      return Arrays.stream(sizes).allMatch(size -> size == ANY || size == 1);
    }
    if (sizes.length != shape.length) {
      return false;
    }
    for (int i = 0; i < sizes.length; i++) {
      if (sizes[i] != ANY && shape[i] != ANY && sizes[i] != shape[i]) {
        return false;
      }
    }
    return true;
  }

  @Override
  public String toString() {
    return describe(type, shape);
  }

  static String describe(TensorInfo info) {
    return describe(info.type, info.getShape());
  }

  private static String describe(OnnxJavaType type, long[] shape) {
    String element =
        switch (type) {
          case FLOAT -> "float32";
          case DOUBLE -> "float64";
          default -> type.toString().toLowerCase(Locale.ROOT);
        };
    return element
        + Arrays.stream(shape)
            .mapToObj(size -> size == ANY ? "?" : Long.toString(size))
            .collect(Collectors.joining(", ", " [", "]"));
  }
}
