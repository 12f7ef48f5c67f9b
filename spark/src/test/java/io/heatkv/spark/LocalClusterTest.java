package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.Calibrator;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.testkit.toy.ToyConfig;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.spark.ExecutorLostFailure;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two executors in JVMs of their own, each with a GPU that isn't there; one is lost at work. */
@Timeout(300)
class LocalClusterTest {
  private static final int KILLED = 137;

  @TempDir static Path model;
  @TempDir static Path folder;

  private static SparkSession session;
  private static JavaSparkContext spark;
  private static SparkModel toy;
  private static final AtomicInteger LOST_TASKS = new AtomicInteger();

  @BeforeAll
  static void start() throws Exception {
    sparkHome(Path.of(System.getenv("SPARK_HOME")));
    toy = LocalSpark.toy(model);
    session =
        LocalSpark.configured(
            SparkSession.builder()
                .master("local-cluster[2,1,512]")
                .config("spark.executor.memory", "512m")
                .config("spark.executor.extraClassPath", System.getProperty("java.class.path"))
                .config(
                    "spark.executor.extraJavaOptions",
                    "--enable-native-access=ALL-UNNAMED -XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
                .config("spark.worker.resource.gpu.amount", "1")
                .config("spark.worker.resource.gpu.discoveryScript", discovery().toString())
                .config("spark.executor.resource.gpu.amount", "1")
                .config("spark.task.resource.gpu.amount", "1"));
    spark = new JavaSparkContext(session.sparkContext());
    session
        .sparkContext()
        .addSparkListener(
            new SparkListener() {
              @Override
              public void onTaskEnd(SparkListenerTaskEnd task) {
                if (task.reason() instanceof ExecutorLostFailure) {
                  LOST_TASKS.incrementAndGet();
                }
              }
            });
  }

  @AfterAll
  static void stop() {
    session.stop();
  }

  /** What Spark asks of its home before it starts an executor, whose classes are named apart. */
  private static void sparkHome(Path home) throws IOException {
    Files.createDirectories(home.resolve("jars"));
    Files.writeString(home.resolve("RELEASE"), "");
  }

  /** Prints GPU 0 to the first worker that asks, 1 to the second. */
  private static Path discovery() throws IOException {
    Path script = folder.resolve("discover.sh");
    Files.writeString(
        script,
        """
        #!/bin/sh
        mkdir '%s' 2>/dev/null && number=0 || number=1
        printf '{"name":"gpu","addresses":["%%s"]}' "$number"
        """
            .formatted(folder.resolve("taken")));
    return Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
  }

  private static int lostTasks() throws TimeoutException {
    session.sparkContext().listenerBus().waitUntilEmpty();
    return LOST_TASKS.get();
  }

  /** Rows 0 to count - 1 in two partitions. */
  private static Dataset<Row> numbered(int count) {
    List<Row> rows =
        IntStream.range(0, count)
            .mapToObj(i -> RowFactory.create(i, ToyConfig.CLASSES.get(i % 3)))
            .toList();
    return session.createDataFrame(
        rows, new StructType().add("id", DataTypes.IntegerType).add("class", DataTypes.StringType));
  }

  /** Process and device of each executor, from two tasks that wait for each other. */
  private static List<String> executors() throws IOException {
    SparkModel own = toy;
    String meeting = Files.createTempDirectory(folder, "meeting").toString();
    return spark
        .parallelize(List.of(0, 1), 2)
        .map(task -> {
          Files.writeString(Path.of(meeting, task.toString()), "");
          while (Files.notExists(Path.of(meeting, Integer.toString(1 - task)))) {
            Thread.sleep(50);
          }
          return ProcessHandle.current().pid() + " " + ExecutorModel.device(own, TaskContext.get());
        })
        .collect();
  }

  @Test
  void eachExecutorHasTheGpuThatSparkGaveIt() throws Exception {
    List<String> executors = executors();
    assertThat(executors.stream().map(each -> each.split(" ")[1]))
        .containsExactlyInAnyOrder("cuda:0", "cuda:1");
    assertThat(executors.stream().map(each -> each.split(" ")[0]).distinct())
        .hasSize(2)
        .doesNotContain(Long.toString(ProcessHandle.current().pid()));
  }

  /** Halts the process once, when a pass has one of its rows. */
  private static MapPartitionsFunction<Row, Row> deadly(String marker) {
    return rows ->
        new Iterator<>() {
          private int taken;

          @Override
          public boolean hasNext() {
            return rows.hasNext();
          }

          @Override
          public Row next() {
            taken++;
            if (taken == 4) {
              try {
                Files.createFile(Path.of(marker));
                Runtime.getRuntime().halt(KILLED);
              } catch (FileAlreadyExistsException e) {
                return rows.next();
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            }
            return rows.next();
          }
        };
  }

  @Test
  void anExecutorThatIsLostLosesNoRow() throws Exception {
    Dataset<Row> rows = numbered(10);
    Path marker = folder.resolve("died");
    int before = lostTasks();
    List<Row> pictures =
        PictureGeneration.of(toy.on("cpu"))
            .withBatch(2)
            .withSeed(3)
            .apply(rows.mapPartitions(deadly(marker.toString()), Encoders.row(rows.schema())))
            .collectAsList();
    assertThat(marker).exists();
    assertThat(lostTasks()).isGreaterThan(before);
    assertThat(pictures.stream().map(row -> row.<Integer>getAs("id")))
        .containsExactlyInAnyOrderElementsOf(IntStream.range(0, 10).boxed().toList());
    try (ImageGenerator generator = ImageGenerator.open(model.toString())) {
      for (Row row : pictures) {
        assertThat(row.<String>getAs("error")).isNull();
        GenerationRequest alone =
            generator.request(row.<String>getAs("class")).withSeed(row.<Long>getAs("seed"));
        assertThat(row.<byte[]>getAs("image"))
            .isEqualTo(generator.generate(alone).images().getFirst().png());
      }
    }
  }

  @Test
  void aCalibrationThatLosesAnExecutorIsThatOfOneMachineToTheDigit() throws Exception {
    List<String> prompts =
        IntStream.range(0, 12).mapToObj(i -> ToyConfig.CLASSES.get(i % 3)).toList();
    long victim = Long.parseLong(executors().getFirst().split(" ")[0]);
    int before = lostTasks();
    Path output = folder.resolve("spark.json");
    SparkCalibration.of(toy.on("cpu"))
        .over("1x1,2x3,3x4,4x5", 1)
        .withSeed(5)
        .run(
            spark,
            prompts,
            output,
            new Calibrator.Listener() {
              @Override
              public void promptDone(int done, int count) {
                if (done == 2) {
                  ProcessHandle.of(victim).orElseThrow().destroyForcibly();
                }
              }

              @Override
              public boolean isCancelled() {
                return false;
              }
            });
    assertThat(lostTasks()).isGreaterThan(before);
    assertThat(Files.readAllBytes(output))
        .isEqualTo(SparkCalibrationTest.alone(model, prompts, folder.resolve("alone.json")));
  }
}
