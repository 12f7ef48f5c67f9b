package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.Calibrator;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two executors as processes of their own, each with a GPU that is none. */
class LocalClusterTest {
  @TempDir static Path folder;

  private static SparkSession spark;
  private static SparkModel toy;

  @BeforeAll
  static void start() throws IOException {
    Path home = Path.of(System.getenv("SPARK_HOME"));
    Path jars = Files.createDirectories(home.resolve("jars"));
    Files.writeString(home.resolve("RELEASE"), "Spark of Maven\n");
    String classPath = System.getProperty("java.class.path");
    for (String entry : classPath.split(File.pathSeparator)) {
      Path jar = Path.of(entry).toAbsolutePath();
      if (entry.endsWith(".jar") && !Files.exists(jars.resolve(jar.getFileName()))) {
        Files.createSymbolicLink(jars.resolve(jar.getFileName()), jar);
      }
    }
    Path gpus = folder.resolve("gpus.sh");
    Files.writeString(gpus, "#!/bin/sh\necho '{\"name\":\"gpu\",\"addresses\":[\"0\"]}'\n");
    Files.setPosixFilePermissions(gpus, PosixFilePermissions.fromString("rwxr-xr-x"));
    spark =
        LocalSpark.configured(
            SparkSession.builder()
                .master("local-cluster[2,1,1024]")
                .config("spark.executor.memory", "512m")
                .config("spark.executor.extraClassPath", classPath)
                .config(
                    "spark.executor.extraJavaOptions",
                    "--enable-native-access=ALL-UNNAMED -XX:TieredStopAtLevel=1")
                .config("spark.worker.resource.gpu.amount", "1")
                .config("spark.worker.resource.gpu.discoveryScript", gpus.toString())
                .config("spark.executor.resource.gpu.amount", "1")
                .config("spark.task.resource.gpu.amount", "1"));
    toy = LocalSpark.toy(Files.createDirectory(folder.resolve("toy")));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static Dataset<Row> numbered(int count) {
    return spark.createDataFrame(
        IntStream.range(0, count).mapToObj(i -> RowFactory.create(i, "circle")).toList(),
        new StructType().add("id", DataTypes.IntegerType).add("class", DataTypes.StringType));
  }

  private static Stream<ProcessHandle> executors() {
    return ProcessHandle.current()
        .descendants()
        .filter(process ->
            process
                .info()
                .commandLine()
                .or(() -> process.info().command())
                .filter(line -> line.contains("CoarseGrainedExecutorBackend"))
                .isPresent());
  }

  /** Kills an executor that is at work. */
  private static void killOne() {
    while (spark.sparkContext().statusTracker().getActiveStageIds().length == 0
        || executors().count() < 2) {
      Thread.onSpinWait();
    }
    executors().findFirst().orElseThrow().destroyForcibly();
  }

  @Test
  void aLostExecutorLosesNoRow() throws Exception {
    // Rows enough that some are in flight when it is killed.
    PictureGeneration generation = PictureGeneration.of(toy.on("cpu")).withBatch(2);
    CompletableFuture<List<Row>> job =
        CompletableFuture.supplyAsync(
            () -> generation.apply(numbered(400).repartition(8)).collectAsList());
    killOne();
    Map<Integer, byte[]> images = new HashMap<>();
    for (Row row : job.get(120, TimeUnit.SECONDS)) {
      assertThat(row.<String>getAs("error")).isNull();
      images.put(row.getAs("id"), row.getAs("image"));
    }
    assertThat(images).hasSize(400);
    for (Row row : generation.apply(numbered(400).repartition(3)).collectAsList()) {
      assertThat(row.<byte[]>getAs("image")).isEqualTo(images.get(row.<Integer>getAs("id")));
    }
  }

  @Test
  void aLostExecutorLosesNoDigitOfACalibration() throws Exception {
    List<String> prompts = Collections.nCopies(40, "circle");
    AtomicBoolean killed = new AtomicBoolean();
    Calibrator.Listener killing =
        new Calibrator.Listener() {
          @Override
          public void promptDone(int done, int count) {
            if (done == 5 && killed.compareAndSet(false, true)) {
              executors().findFirst().orElseThrow().destroyForcibly();
            }
          }

          @Override
          public boolean isCancelled() {
            return false;
          }
        };
    Path output = folder.resolve("spark.json");
    SparkCalibration.of(toy.on("cpu"))
        .over("1x1,2x3,3x4,4x5", 1)
        .withSeed(5)
        .run(new JavaSparkContext(spark.sparkContext()), prompts, output, killing);
    assertThat(killed).isTrue();
    assertThat(Files.readAllBytes(output))
        .isEqualTo(
            SparkCalibrationTest.alone(Path.of(toy.name()), prompts, folder.resolve("alone.json")));
  }

  /** The GPU that Spark assigned is what the model would be opened on. */
  @Test
  void tasksTakeTheGpuThatSparkGaveThem() {
    for (Row row : PictureGeneration.of(toy).apply(numbered(3)).collectAsList()) {
      assertThat(row.<String>getAs("error")).contains("device cuda:0 needs a CUDA build");
    }
  }
}
