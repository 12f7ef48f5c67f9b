package io.heatkv.eval.learned;

import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Compares a picture with its reference, as LPIPS does. */
public final class PairModel extends MetricModel {
  private static final String REFERENCE = "reference";

  PairModel(LearnedMetric metric, Path file, int width, int height) {
    super(
        metric,
        file,
        width,
        height,
        List.of(Port.image(REFERENCE, width, height)),
        List.of(),
        Port.score());
  }

  /**
   * The model's score.
   *
   * @throws io.heatkv.error.UserException if the network fails
   * @throws IllegalArgumentException if a picture is of another size
   */
  public double score(PngImage picture, PngImage reference) {
    return model.score(
        Map.of(IMAGE, planes(picture), REFERENCE, planes(reference)), shape(), Map.of());
  }
}
