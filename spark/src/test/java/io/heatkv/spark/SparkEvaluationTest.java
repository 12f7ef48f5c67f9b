package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.DevicePool;
import io.heatkv.ImageGenerator;
import io.heatkv.error.UserException;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.Evaluator;
import io.heatkv.eval.run.MetricSuite;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Evaluations by Spark fill the report folder as one process does. */
class SparkEvaluationTest {
  private static final List<String> PROMPTS = List.of("circle", "square", "cross");

  @TempDir static Path model;
  @TempDir Path folder;

  private static SparkSession session;
  private static JavaSparkContext spark;
  private static SparkEvaluation evaluation;

  @BeforeAll
  static void start() {
    session = LocalSpark.start();
    spark = new JavaSparkContext(session.sparkContext());
    evaluation =
        new SparkEvaluation(
            LocalSpark.toy(model),
            List.of("streaming-llm", "h2o"),
            List.of("0.6", "0.8"),
            null,
            1,
            3,
            2,
            2,
            true);
  }

  @AfterAll
  static void stop() {
    session.stop();
  }

  private static final class Quiet implements Evaluator.Listener {
    @Override
    public void drawn(int drawings, int count, String label) {}

    @Override
    public void warning(String text) {}

    @Override
    public boolean isCancelled() {
      return false;
    }
  }

  /** What one process draws into a folder. */
  private static void alone(Path folder) throws IOException {
    Files.createDirectories(folder.resolve("batches"));
    Files.createDirectories(folder.resolve("images"));
    try (ImageGenerator generator = ImageGenerator.open(model.toString());
        MetricSuite metrics = new MetricSuite(Map.of(), 28, 20, true, true)) {
      Evaluation same = evaluation.evaluation(generator, PROMPTS);
      new Evaluator(
              DevicePool.of(List.of(generator)),
              same,
              new EvaluationFolder(folder),
              metrics,
              true,
              new Quiet())
          .run(0, 1);
    }
  }

  /** Pictures as they are, numbers without times, by file. */
  private static Map<String, String> content(Path folder) throws IOException {
    Map<String, String> content = new TreeMap<>();
    for (String part : List.of("batches", "images")) {
      try (Stream<Path> files = Files.list(folder.resolve(part))) {
        for (Path file : files.toList()) {
          String text = Files.readString(file, StandardCharsets.ISO_8859_1);
          content.put(
              part + "/" + file.getFileName(),
              part.equals("images")
                  ? text
                  : text.replaceAll("\"[a-z_]*(ms|settled)\" ?: ?[^,}]*", ""));
        }
      }
    }
    return content;
  }

  @Test
  void theFolderIsThatOfOneProcess() throws Exception {
    Path expected = folder.resolve("alone");
    alone(expected);
    Path report = folder.resolve("report");
    // Ended after the first batch, it goes on.
    Path first = report.resolve("batches/batch-00000.json");
    assertThatThrownBy(() -> evaluation.run(spark, PROMPTS, report, () -> Files.exists(first)))
        .isInstanceOf(CancellationException.class);
    assertThat(report.resolve("index.html")).doesNotExist();
    evaluation.run(spark, PROMPTS, report, () -> false);
    assertThat(content(report)).isEqualTo(content(expected)).hasSize(2 + 2 * 5);
    assertThat(report.resolve("index.html")).exists();
    assertThat(Files.readString(report.resolve("summary.csv"))).contains("h2o", "streaming-llm");
  }

  @Test
  void anotherEvaluationInTheFolderIsRefused() {
    Path report = folder.resolve("report");
    evaluation.run(spark, PROMPTS.subList(0, 1), report, () -> false);
    assertThatThrownBy(() -> evaluation.run(spark, PROMPTS, report, () -> false))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("other settings");
  }
}
