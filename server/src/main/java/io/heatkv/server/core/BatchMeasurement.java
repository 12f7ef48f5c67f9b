package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import java.util.Collections;
import java.util.function.BooleanSupplier;

/** How many pictures of a pass make the most pictures a second. */
final class BatchMeasurement {
  // More pictures of a pass wait longer for their first; a gain below this isn't worth it.
  private static final double GAIN = 1.03;
  private static final double SECONDS = 6;

  private final NextScaleModel model;
  private final Form form;
  private final PictureRequest picture;
  private final BooleanSupplier cancelled;
  private final Runnable beat;

  record Result(int batch, double secondsPerPicture) {}

  BatchMeasurement(
      NextScaleModel model,
      Form form,
      PictureRequest picture,
      BooleanSupplier cancelled,
      Runnable beat) {
    this.model = model;
    this.form = form;
    this.picture = picture;
    this.cancelled = cancelled;
    this.beat = beat;
  }

  /**
   * Doubles the pictures of a pass as long as that pays and a few seconds last.
   *
   * @param most pictures of a pass that may be tried
   */
  Result run(int most) {
    draw(1);
    double end = System.nanoTime() / 1e9 + SECONDS;
    Result best = new Result(1, draw(1));
    for (int pictures = 2; pictures <= most && !cancelled.getAsBoolean(); pictures *= 2) {
      if (System.nanoTime() / 1e9 + pictures * best.secondsPerPicture > end) {
        break;
      }
      double each = draw(pictures) / pictures;
      if (each * GAIN > best.secondsPerPicture) {
        break;
      }
      best = new Result(pictures, each);
    }
    return best;
  }

  private double draw(int pictures) {
    long start = System.nanoTime();
    GenerationRequest request =
        new GenerationRequest(
            Collections.nCopies(pictures, picture), form.schedule(), form.policy());
    try (Generation generation = Generation.open(model, request)) {
      while (!generation.isDone() && !cancelled.getAsBoolean()) {
        beat.run();
        generation.step();
      }
      if (!cancelled.getAsBoolean()) {
        double decode = generation.finish().timings().decode() / 1e3;
        form.took(pictures, (System.nanoTime() - start) / 1e9, decode);
      }
    }
    return (System.nanoTime() - start) / 1e9;
  }
}
