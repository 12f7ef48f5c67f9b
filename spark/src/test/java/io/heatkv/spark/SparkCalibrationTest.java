package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.Calibrator;
import io.heatkv.ImageGenerator;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Calibrations by Spark are those of one machine, to the byte of the profile. */
class SparkCalibrationTest {
  private static final List<String> PROMPTS =
      List.of("circle", "square", "cross", "0", "1", "2", "circle");

  @TempDir static Path model;
  @TempDir Path folder;

  private static SparkSession session;
  private static JavaSparkContext spark;
  private static SparkCalibration calibration;

  @BeforeAll
  static void start() {
    session = LocalSpark.start();
    spark = new JavaSparkContext(session.sparkContext());
    calibration = SparkCalibration.of(LocalSpark.toy(model)).over("1x1,2x3,3x4,4x5", 1).withSeed(5);
  }

  @AfterAll
  static void stop() {
    session.stop();
  }

  /** Ends it when so many prompts are done. */
  static Calibrator.Listener until(int prompts) {
    return new Calibrator.Listener() {
      private volatile int done;

      @Override
      public void promptDone(int now, int count) {
        done = now;
      }

      @Override
      public boolean isCancelled() {
        return done >= prompts;
      }
    };
  }

  static byte[] alone(Path model, List<String> prompts, Path output) throws Exception {
    try (ImageGenerator generator = ImageGenerator.open(model.toString())) {
      new Calibrator(
              generator,
              ScaleGrids.parse("1x1,2x3,3x4,4x5"),
              generator.description().sampling(),
              1,
              5)
          .calibrate(prompts, output, until(Integer.MAX_VALUE));
    }
    return Files.readAllBytes(output);
  }

  @Test
  void isThatOfOneMachineToTheDigit() throws Exception {
    byte[] expected = alone(model, PROMPTS, folder.resolve("alone.json"));
    Path output = folder.resolve("spark.json");
    calibration.run(spark, PROMPTS, output, until(Integer.MAX_VALUE));
    assertThat(Files.readAllBytes(output)).isEqualTo(expected);
    // Ended between, it goes on where it was.
    Path pieces = folder.resolve("pieces.json");
    assertThatThrownBy(() -> calibration.run(spark, PROMPTS, pieces, until(2)))
        .isInstanceOf(CancellationException.class);
    assertThat(pieces).doesNotExist();
    assertThat(folder.resolve("pieces.json.partial")).exists();
    calibration.run(spark, PROMPTS, pieces, until(Integer.MAX_VALUE));
    assertThat(Files.readAllBytes(pieces)).isEqualTo(expected);
  }

  @Test
  void whatIsWrongIsOneLine() {
    assertThatThrownBy(() ->
            calibration.run(
                spark,
                List.of("circle", "triangle"),
                folder.resolve("a.json"),
                until(Integer.MAX_VALUE)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("class 'triangle' is unknown");
    SparkCalibration elsewhere =
        SparkCalibration.of(LocalSpark.toy(model).withLibtorch("nowhere"))
            .over("1x1,2x3,3x4,4x5", 1);
    assertThatThrownBy(() ->
            elsewhere.run(
                spark,
                Collections.nCopies(3, "circle"),
                folder.resolve("b.json"),
                until(Integer.MAX_VALUE)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("libtorch");
    assertThat(folder.resolve("b.json")).doesNotExist();
  }
}
