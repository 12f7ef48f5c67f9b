package io.heatkv.eval.learned;

import ai.onnxruntime.OnnxJavaType;
import io.heatkv.error.UserException;
import io.heatkv.eval.FrechetDistance;
import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Features of pictures, whose {@link FrechetDistance} is the FID. */
public final class FeatureModel extends MetricModel {
  /** The last pooling layer of the Inception network. */
  private static final int FEATURES = 2048;

  private final Path file;

  FeatureModel(LearnedMetric metric, Path file, int width, int height) {
    super(
        metric,
        file,
        width,
        height,
        List.of(),
        List.of(),
        new Port("features", OnnxJavaType.FLOAT, 1, FEATURES));
    this.file = file;
  }

  /**
   * Features of one picture, 2048 of them.
   *
   * @throws UserException if the network fails or gives another number
   * @throws IllegalArgumentException if the picture is of another size
   */
  public float[] features(PngImage picture) {
    float[] features = model.run(Map.of(IMAGE, planes(picture)), shape(), Map.of());
    if (features.length != FEATURES) {
      throw new UserException(
          "%s: gives %d features for one picture; expected %d; see docs/metrics.md"
              .formatted(file, features.length, FEATURES));
    }
    return features;
  }
}
