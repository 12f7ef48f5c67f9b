package io.heatkv.eval.learned;

import ai.onnxruntime.OnnxJavaType;
import io.heatkv.error.UserException;
import io.heatkv.eval.FrechetDistance;
import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Features of pictures, whose {@link FrechetDistance} is the FID. */
public final class FeatureModel implements MetricModel {
  /** The last pooling layer of the Inception network. */
  private static final int FEATURES = 2048;

  private static final String IMAGE = "image";

  private final LearnedMetric metric;
  private final Path file;
  private final PictureInput size;
  private final OnnxModel model;

  FeatureModel(LearnedMetric metric, Path file, int width, int height) {
    this.metric = metric;
    this.file = file;
    size = new PictureInput(width, height);
    model =
        OnnxModel.open(
            metric,
            file,
            new OnnxModel.Contract(
                List.of(Port.image(IMAGE, width, height)),
                List.of(),
                new Port("features", OnnxJavaType.FLOAT, 1, FEATURES)));
  }

  @Override
  public LearnedMetric metric() {
    return metric;
  }

  /**
   * Features of one picture, 2048 of them.
   *
   * @throws UserException if the network fails or gives another number
   * @throws IllegalArgumentException if the picture is of another size
   */
  public float[] features(PngImage picture) {
    float[] features = model.run(Map.of(IMAGE, size.planes(picture)), size.shape(), Map.of());
    if (features.length != FEATURES) {
      throw new UserException(
          "%s: gives %d features for one picture; expected %d; see docs/metrics.md"
              .formatted(file, features.length, FEATURES));
    }
    return features;
  }

  @Override
  public void close() {
    model.close();
  }
}
