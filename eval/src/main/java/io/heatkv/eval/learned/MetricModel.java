package io.heatkv.eval.learned;

import java.nio.file.Path;

/**
 * A metric's network, loaded. Every picture reaches it as float32 [1, 3, height, width], RGB from
 * -1 to 1, of the size in which it was drawn; resizing and further normalisation are the graph's,
 * so that they are the reference's own.
 *
 * <p>Runs on the CPU. Models may be used by several threads at once.
 */
public sealed interface MetricModel extends AutoCloseable
    permits PairModel, TextModel, FeatureModel {
  /**
   * Loads the model of a metric and checks that it serves pictures of that size.
   *
   * @throws io.heatkv.error.UserException if the file is missing, no ONNX model, or of other inputs
   *     and outputs than docs/metrics.md tells
   */
  static MetricModel open(LearnedMetric metric, Path file, int width, int height) {
    return switch (metric.form()) {
      case PAIR -> new PairModel(metric, file, width, height);
      case TEXT -> new TextModel(metric, file, width, height);
      case FEATURES -> new FeatureModel(metric, file, width, height);
    };
  }

  LearnedMetric metric();

  @Override
  void close();
}
