package io.heatkv.server.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.family.PictureRequest;
import io.heatkv.server.ToyServedModel;
import io.heatkv.testkit.TestDevice;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BatchMeasurementTest {
  @Test
  void itEndsWithABatchThatMayBeTriedAndLeavesNothingBehind(@TempDir Path folder) {
    try (ToyServedModel model = new ToyServedModel(folder)) {
      Form form = new Forms(model).of(model.grids(), "full", "1", model.sampling());
      PictureRequest picture = new PictureRequest("circle", 0, model.sampling());
      BatchMeasurement measurement = new BatchMeasurement(model.plain(), form, picture, 8);
      long before = TestDevice.backend().liveTensors();
      AtomicInteger asked = new AtomicInteger();
      assertThat(measurement.step(() -> asked.incrementAndGet() == 3, new Heartbeat())).isFalse();
      assertThat(measurement.isDone()).isFalse();
      for (int i = 0; i < 13 && !measurement.isDone(); i++) {
        assertThat(measurement.step(() -> false, new Heartbeat())).isTrue();
      }
      assertThat(measurement.isDone()).isTrue();
      assertThat(measurement.batch()).isIn(1, 2, 4, 8);
      assertThat(form.secondsPerPicture()).isPositive();
      assertThat(form.decodeShare()).isBetween(0.0, 1.0);
      assertThat(TestDevice.backend().liveTensors()).isEqualTo(before);
    }
  }
}
