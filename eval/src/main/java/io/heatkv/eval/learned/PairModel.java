package io.heatkv.eval.learned;

import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Compares a picture with its reference, as LPIPS does. */
public final class PairModel implements MetricModel {
  private static final String IMAGE = "image";
  private static final String REFERENCE = "reference";

  private final LearnedMetric metric;
  private final PictureInput size;
  private final OnnxModel model;

  PairModel(LearnedMetric metric, Path file, int width, int height) {
    this.metric = metric;
    size = new PictureInput(width, height);
    model =
        OnnxModel.open(
            metric,
            file,
            new OnnxModel.Contract(
                List.of(Port.image(IMAGE, width, height), Port.image(REFERENCE, width, height)),
                List.of(),
                Port.score()));
  }

  @Override
  public LearnedMetric metric() {
    return metric;
  }

  /**
   * The model's score.
   *
   * @throws io.heatkv.error.UserException if the network fails
   * @throws IllegalArgumentException if a picture is of another size
   */
  public double score(PngImage picture, PngImage reference) {
    return model.score(
        Map.of(IMAGE, size.planes(picture), REFERENCE, size.planes(reference)),
        size.shape(),
        Map.of());
  }

  @Override
  public void close() {
    model.close();
  }
}
