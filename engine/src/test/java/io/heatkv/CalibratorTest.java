package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelSource;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Calibrations that end early, go on, and are merged, of the embedded model on small grids. */
class CalibratorTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4,6x6");
  private static final List<String> PROMPTS = List.of("a red apple", "a cat", "a green tree");

  private static ImageGenerator model;

  @TempDir Path folder;

  @BeforeAll
  static void load() {
    model =
        new ImageGenerator(
            ModelSource.find(ModelSource.EMBEDDED),
            TestDevice.backend(),
            TestDevice.device(),
            DType.F32);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Calibrator calibrator(long seed) {
    return new Calibrator(model, SCALES, SamplingOptions.of(3, 0.7, 0.97), 1, seed);
  }

  /** Ends the calibration when so many prompts are done. */
  private static Calibrator.Listener until(int prompts) {
    return new Calibrator.Listener() {
      // Set by this thread, asked by the device's.
      private volatile int done;

      @Override
      public void promptDone(int now, int count) {
        done = now;
      }

      @Override
      public boolean isCancelled() {
        return done == prompts;
      }
    };
  }

  private static byte[] bytes(Path file) throws Exception {
    return Files.readAllBytes(file);
  }

  @Test
  void withoutItsPeersHeatKvIsCalibratedTheSame() {
    Path both = folder.resolve("both.heatkv.json");
    Path alone = folder.resolve("alone.heatkv.json");
    List<String> prompts = PROMPTS.subList(0, 1);
    CalibrationProfile expected = calibrator(5).calibrate(prompts, both, until(-1));
    new Calibrator(
            DevicePool.of(List.of(model)), SCALES, SamplingOptions.of(3, 0.7, 0.97), 1, 5, false)
        .calibrate(prompts, alone, until(-1));
    CalibrationProfile profile = CalibrationProfile.read(alone);
    assertThat(profile.orders()).isEqualTo(expected.orders());
    assertThatThrownBy(profile::statistics).hasMessageContaining("no attention statistics");
  }

  @Test
  void goesOnAfterAnInterruptionToTheSameDigits() throws Exception {
    long live = TestDevice.backend().liveTensors();
    Path whole = folder.resolve("whole.heatkv.json");
    calibrator(5).calibrate(PROMPTS, whole, until(-1));
    Path pieces = folder.resolve("pieces.heatkv.json");
    for (int done = 1; done < PROMPTS.size(); done++) {
      int stop = done;
      assertThatThrownBy(() -> calibrator(5).calibrate(PROMPTS, pieces, until(stop)))
          .isInstanceOf(CancellationException.class);
      assertThat(pieces).doesNotExist();
      assertThat(
              CalibrationProfile.read(folder.resolve("pieces.heatkv.json.partial")).promptsDone())
          .isEqualTo(done);
    }
    calibrator(5).calibrate(PROMPTS, pieces, until(-1));
    assertThat(bytes(pieces)).isEqualTo(bytes(whole));
    assertThat(Files.list(folder)).containsExactlyInAnyOrder(whole, pieces);
    assertThat(TestDevice.backend().liveTensors()).isEqualTo(live);
  }

  @Test
  void severalDevicesGiveTheSameDigits() throws Exception {
    Path one = folder.resolve("one.heatkv.json");
    Path two = folder.resolve("two.heatkv.json");
    calibrator(5).calibrate(PROMPTS, one, until(-1));
    new Calibrator(
            DevicePool.of(List.of(model, model)),
            SCALES,
            SamplingOptions.of(3, 0.7, 0.97),
            1,
            5,
            true)
        .calibrate(PROMPTS, two, until(-1));
    assertThat(bytes(two)).isEqualTo(bytes(one));
  }

  @Test
  void partsMergeToTheSumsOfTheWhole() {
    CalibrationProfile whole =
        calibrator(5).calibrate(PROMPTS, folder.resolve("whole.json"), until(-1));
    CalibrationProfile first =
        calibrator(5).calibrate(PROMPTS.subList(0, 1), folder.resolve("a.json"), until(-1));
    CalibrationProfile rest =
        calibrator(6).calibrate(PROMPTS.subList(1, 3), folder.resolve("b.json"), until(-1));
    CalibrationProfile merged = CalibrationProfile.merge(List.of(rest, first));
    for (int source = 1; source < SCALES.count() - 1; source++) {
      for (int layer = 0; layer < 12; layer++) {
        for (int head = 0; head < 10; head++) {
          assertThat(merged.scores().sum(source, layer, head))
              .isEqualTo(whole.scores().sum(source, layer, head));
        }
      }
    }
  }

  @Test
  void refusesToGoOnWithOtherPrompts() {
    Path output = folder.resolve("profile.json");
    assertThatThrownBy(() -> calibrator(5).calibrate(PROMPTS, output, until(1)))
        .isInstanceOf(CancellationException.class);
    assertThatThrownBy(() -> calibrator(6).calibrate(PROMPTS, output, until(-1)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("profile.json.partial");
    assertThat(output).doesNotExist();
  }
}
