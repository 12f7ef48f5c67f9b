package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The job that run-local.sh and spark-submit start. */
class GenerateJobTest {
  @TempDir Path folder;

  private static SparkSession.Builder builder() {
    return SparkSession.builder()
        .master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1");
  }

  @Test
  void aFileOfPromptsBecomesPicturesAndATable() throws Exception {
    LocalSpark.toy(Files.createDirectory(folder.resolve("toy")));
    Path prompts = Files.writeString(folder.resolve("a.txt"), "circle\n\ntriangle\nsquare\n");
    Path out = folder.resolve("out");
    String model = "model=" + folder.resolve("toy");
    GenerateJob.run(builder(), prompts.toString(), out.toString(), model, "seed=1", "batch=2");
    try (Stream<Path> files = Files.list(out.resolve("png"))) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "000001.png", ".000001.png.crc", "000003.png", ".000003.png.crc");
    }
    assertThat(ImageIO.read(out.resolve("png/000003.png").toFile()).getWidth()).isEqualTo(28);
    SparkSession spark = LocalSpark.start();
    try {
      assertThat(
              spark
                  .read()
                  .parquet(out.resolve("pictures.parquet").toString())
                  .filter("error like 'class ''triangle''%' and image is null")
                  .count())
          .isEqualTo(1);
    } finally {
      spark.stop();
    }
    assertThatThrownBy(() -> GenerateJob.run(builder(), prompts.toString(), out.toString(), model))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("holds pictures already");
  }

  @Test
  void aColumnOfTheJobIsRefused() throws Exception {
    Path prompts =
        Files.writeString(folder.resolve("a.jsonl"), "{\"prompt\":\"circle\",\"number\":1}\n");
    Path out = folder.resolve("out");
    assertThatThrownBy(() -> GenerateJob.run(builder(), prompts.toString(), out.toString()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("column number");
    assertThat(out).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "prompts.txt | expected PROMPTS OUT",
        "prompts.txt out bugdet=1 | option 'bugdet=1' is unknown",
        "prompts.txt out seed=x | seed 'x' is no number",
        "prompts.txt out budget=much | 'much'",
        "prompts.txt out device=tpu | device 'tpu'",
        "nowhere.txt out | prompts nowhere.txt aren't there",
      })
  void wrongArgumentsAreRefused(String arguments, String message) {
    assertThatThrownBy(() -> GenerateJob.run(builder(), arguments.split(" ")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(message);
    assertThat(folder).isEmptyDirectory();
  }
}
