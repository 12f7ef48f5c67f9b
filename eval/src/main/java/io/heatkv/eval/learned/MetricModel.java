package io.heatkv.eval.learned;

import io.heatkv.eval.Planes;
import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * A metric's network, loaded. Every picture reaches it as float32 [1, 3, height, width], RGB from
 * -1 to 1, of the size in which it was drawn; resizing and further normalisation are the graph's,
 * so that they are the reference's own.
 *
 * <p>Runs on the CPU. Models may be used by several threads at once.
 */
public abstract sealed class MetricModel implements AutoCloseable
    permits PairModel, TextModel, FeatureModel {
  static final String IMAGE = "image";

  private final LearnedMetric metric;
  private final int width;
  private final int height;

  /** The network, which reads {@link #IMAGE} beside others. */
  final OnnxModel model;

  /**
   * @param inputs that it must have besides the picture
   * @param optional inputs that it may have
   */
  MetricModel(
      LearnedMetric metric,
      Path file,
      int width,
      int height,
      List<Port> inputs,
      List<Port> optional,
      Port output) {
    this.metric = metric;
    this.width = width;
    this.height = height;
    List<Port> required =
        Stream.concat(Stream.of(Port.image(IMAGE, width, height)), inputs.stream()).toList();
    model = OnnxModel.open(metric, file, new OnnxModel.Contract(required, optional, output));
  }

  /**
   * Loads the native code of ONNX Runtime, which all of them need, unless that was done.
   *
   * @return the folder of its files
   * @throws io.heatkv.error.UserException if it can't be unpacked or loaded
   */
  public static Path loadNatives() {
    return OnnxModel.loadNatives();
  }

  /**
   * Loads the model of a metric and checks that it serves pictures of that size.
   *
   * @throws io.heatkv.error.UserException if the file is missing, no ONNX model, or of other inputs
   *     and outputs than docs/metrics.md tells
   */
  public static MetricModel open(LearnedMetric metric, Path file, int width, int height) {
    return switch (metric.form()) {
      case PAIR -> new PairModel(metric, file, width, height);
      case TEXT -> new TextModel(metric, file, width, height);
      case FEATURES -> new FeatureModel(metric, file, width, height);
    };
  }

  public final LearnedMetric metric() {
    return metric;
  }

  /** Shape of {@link #planes}. */
  final long[] shape() {
    return new long[] {1, 3, height, width};
  }

  /**
   * What the network reads of a picture.
   *
   * @throws IllegalArgumentException if it is of another size than the model was checked for
   */
  final float[] planes(PngImage picture) {
    if (picture.width() != width || picture.height() != height) {
      throw new IllegalArgumentException(
          "a picture of %dx%d pixels, the model was opened for %dx%d"
              .formatted(picture.width(), picture.height(), width, height));
    }
    return Planes.of(picture);
  }

  @Override
  public void close() {
    model.close();
  }
}
