package io.heatkv.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Device;
import io.heatkv.testkit.TestDevice;
import io.heatkv.testkit.toy.ToyConfig;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapFunction;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskStart;
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
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tables of prompts become tables of pictures, on the smallest model in this process. */
class PictureGenerationTest {
  private static final StructType FULL =
      new StructType()
          .add("id", DataTypes.IntegerType)
          .add("prompt", DataTypes.StringType)
          .add("seed", DataTypes.LongType)
          .add("negative_prompt", DataTypes.StringType)
          .add("size", DataTypes.StringType);

  @TempDir static Path folder;

  private static SparkSession spark;
  private static PictureGeneration generation;

  @BeforeAll
  static void start() {
    spark = LocalSpark.start();
    generation = PictureGeneration.of(LocalSpark.toy(folder)).withSeed(7);
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static Dataset<Row> table(StructType schema, Row... rows) {
    return spark.createDataFrame(List.of(rows), schema);
  }

  /** Rows 0 to count - 1 of a column id and one of classes. */
  private static Dataset<Row> numbered(int count) {
    return table(
        new StructType().add("id", DataTypes.IntegerType).add("class", DataTypes.StringType),
        IntStream.range(0, count)
            .mapToObj(i -> RowFactory.create(i, ToyConfig.CLASSES.get(i % 3)))
            .toArray(Row[]::new));
  }

  private static Map<Integer, Row> rows(Dataset<Row> pictures) {
    Map<Integer, Row> byId = new HashMap<>();
    pictures.collectAsList().forEach(row -> byId.put(row.getAs("id"), row));
    return byId;
  }

  /** All of them without an error. */
  private static Map<Integer, Row> drawn(Dataset<Row> pictures) {
    Map<Integer, Row> byId = rows(pictures);
    byId.values().forEach(row -> assertThat(row.<String>getAs("error")).isNull());
    return byId;
  }

  /** The same picture as the library's: prompt and seed in it draw it. */
  @Test
  void aRowBecomesThePictureOfItsPromptAndSeed() throws Exception {
    Dataset<Row> pictures = numbered(5).transform(generation::apply);
    assertThat(pictures.schema().fieldNames())
        .containsExactly("id", "class", "image", "seed", "kv_bytes", "milliseconds", "error");
    Map<Integer, Row> rows = drawn(pictures);
    assertThat(rows).hasSize(5);
    try (ImageGenerator generator = ImageGenerator.open(folder.toString())) {
      for (Row row : rows.values()) {
        assertThat(row.<String>getAs("error")).isNull();
        byte[] image = row.getAs("image");
        GenerationRequest alone =
            generator.request(row.<String>getAs("class")).withSeed(row.<Long>getAs("seed"));
        assertThat(image).isEqualTo(generator.generate(alone).images().getFirst().png());
        assertThat(ImageIO.read(new ByteArrayInputStream(image)).getWidth()).isEqualTo(28);
        // Two layers, guided and not, keys and values, two heads of 16, all tokens but the last 35.
        assertThat(row.<Long>getAs("kv_bytes")).isEqualTo(2 * 2 * 2 * 2 * 16 * 39 * 4);
        assertThat(row.<Double>getAs("milliseconds")).isPositive();
      }
    }
    assertThat(new HashSet<>(rows.values().stream().map(row -> row.<Long>getAs("seed")).toList()))
        .hasSize(5);
  }

  /** Skewed, empty and whole: partitions and passes of any size draw the same. */
  @ParameterizedTest
  @CsvSource({"1,1", "1,7", "3,2", "9,0"})
  void picturesDontDependOnPartitionsAndPasses(int partitions, int batch) {
    Map<Integer, Row> expected = drawn(generation.withBatch(3).apply(numbered(7).coalesce(1)));
    Dataset<Row> spread =
        batch == 7
            ? numbered(7).repartitionByRange(3, org.apache.spark.sql.functions.lit(1))
            : numbered(7).repartition(partitions);
    assertThat(drawn(generation.withBatch(batch).apply(spread)))
        .allSatisfy((id, row) -> {
          assertThat(row.<Long>getAs("seed")).isEqualTo(expected.get(id).<Long>getAs("seed"));
          assertThat(row.<byte[]>getAs("image")).isEqualTo(expected.get(id).<byte[]>getAs("image"));
        })
        .hasSize(7);
  }

  @Test
  void anotherSeedOfTheJobDrawsOthers() {
    Map<Integer, Row> one = drawn(generation.apply(numbered(3)));
    Map<Integer, Row> other = drawn(generation.withSeed(8).apply(numbered(3)));
    one.forEach((id, row) ->
        assertThat(row.<Long>getAs("seed")).isNotEqualTo(other.get(id).<Long>getAs("seed")));
  }

  @Test
  void wrongRowsSayWhyAndTheOthersAreDrawn() {
    Dataset<Row> prompts =
        table(
            FULL,
            RowFactory.create(0, "circle", 5L, null, null),
            RowFactory.create(1, null, null, null, null),
            RowFactory.create(2, "  ", null, null, null),
            RowFactory.create(3, "triangle", 5L, null, null),
            RowFactory.create(4, "circle", -1L, null, null),
            RowFactory.create(5, "cross", 5L, "square", "28x20"),
            RowFactory.create(6, "circle", null, null, "large"),
            RowFactory.create(7, "circle", null, null, "20x2000"),
            RowFactory.create(8, "circle", 5L, " ", "auto"),
            RowFactory.create(9, "circle", 5L, "triangle", null));
    Map<Integer, Row> rows = rows(generation.withBatch(4).apply(prompts.coalesce(1)));
    assertThat(rows).hasSize(10);
    Map<Integer, String> problems =
        Map.of(
            1, "the prompt is empty",
            2, "the prompt is empty",
            3, "class 'triangle' is unknown",
            4, "seed -1 is out of range",
            6, "size 'large' can't be read",
            7, "size 20x2000 has a ratio that isn't drawn",
            9, "class 'triangle' is unknown");
    rows.forEach((id, row) -> {
      if (problems.containsKey(id)) {
        assertThat(row.<String>getAs("error")).startsWith(problems.get(id)).doesNotContain("\n");
        assertThat(row.<byte[]>getAs("image")).isNull();
      } else {
        assertThat(row.<String>getAs("error")).isNull();
        assertThat(row.<Long>getAs("seed")).isEqualTo(5);
      }
    });
    assertThat(rows.get(8).<byte[]>getAs("image")).isEqualTo(rows.get(0).<byte[]>getAs("image"));
    assertThat(rows.get(5).<byte[]>getAs("image")).isNotNull();
  }

  @Test
  void anEmptyTableBecomesAnEmptyTable() {
    Dataset<Row> pictures = generation.apply(numbered(3).limit(0));
    assertThat(pictures.collectAsList()).isEmpty();
    assertThat(pictures.schema().fieldNames()).contains("image", "error");
  }

  @Test
  void aBudgetIsKept() {
    Row full = drawn(generation.apply(numbered(1))).get(0);
    Row half =
        drawn(generation.withPolicy("streaming-llm").withBudget("50%").apply(numbered(1))).get(0);
    assertThat(half.<Long>getAs("kv_bytes")).isLessThanOrEqualTo(full.<Long>getAs("kv_bytes") / 2);
    // HeatKV needs a calibration, which this model has none of: a line for each row.
    Map<Integer, Row> without = rows(generation.withBudget("50%").apply(numbered(3)));
    assertThat(without.values())
        .allSatisfy(row ->
            assertThat(row.<String>getAs("error")).contains("comes without a calibration profile"));
  }

  @Test
  void aModelThatIsMissingIsALineOfEachRow() {
    Map<Integer, Row> rows = rows(PictureGeneration.of("nowhere").apply(numbered(4)));
    assertThat(rows).hasSize(4);
    assertThat(rows.values())
        .allSatisfy(row -> assertThat(row.<String>getAs("error")).contains("model 'nowhere'"));
    SparkModel wrong = generation.model().withLibtorch("nowhere");
    assertThat(rows(PictureGeneration.of(wrong).apply(numbered(1))).get(0).<String>getAs("error"))
        .contains("libtorch");
  }

  /** A task that fails after it drew is run again, and draws the same. */
  @Test
  void aSecondTryDrawsTheSame() {
    MapFunction<Row, Row> failOnce =
        row -> {
          if (row.<Integer>getAs("id") == 2 && TaskContext.get().attemptNumber() == 0) {
            throw new IllegalStateException("the first try is lost");
          }
          return row;
        };
    Dataset<Row> pictures = generation.apply(numbered(4).coalesce(1));
    Map<Integer, Row> expected = drawn(pictures);
    Map<Integer, Row> again = drawn(pictures.map(failOnce, Encoders.row(pictures.schema())));
    assertThat(again).hasSize(4);
    again.forEach((id, row) ->
        assertThat(row.<byte[]>getAs("image")).isEqualTo(expected.get(id).<byte[]>getAs("image")));
  }

  /** Rows without end: only the kill ends the job, and the model draws on for the next. */
  @Test
  void aJobThatIsCancelledEnds() throws Exception {
    MapPartitionsFunction<Row, Row> endless =
        rows -> {
          Row first = rows.next();
          return java.util.stream.Stream.generate(() -> first).iterator();
        };
    Dataset<Row> input = numbered(1);
    Dataset<Row> prompts = input.mapPartitions(endless, Encoders.row(input.schema()));
    CountDownLatch started = new CountDownLatch(1);
    SparkListener listener =
        new SparkListener() {
          @Override
          public void onTaskStart(SparkListenerTaskStart task) {
            started.countDown();
          }
        };
    spark.sparkContext().addSparkListener(listener);
    CompletableFuture<Long> job =
        CompletableFuture.supplyAsync(() -> {
          spark.sparkContext().setJobGroup("endless", "endless", true);
          return generation.apply(prompts).count();
        });
    assertThat(started.await(60, TimeUnit.SECONDS)).isTrue();
    spark.sparkContext().removeSparkListener(listener);
    spark.sparkContext().cancelJobGroup("endless");
    assertThatThrownBy(() -> job.get(60, TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .hasMessageContaining("cancelled");
    assertThat(drawn(generation.apply(numbered(2)))).hasSize(2);
  }

  @Test
  void nothingIsLeftBehind() {
    drawn(generation.apply(numbered(2)));
    long live = TestDevice.backend().liveTensors();
    drawn(generation.withPolicy("h2o").withBudget("50%").apply(numbered(6)));
    assertThat(TestDevice.backend().liveTensors()).isEqualTo(live);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "id int, text string | columns id, text have no prompt; expected one column prompt or class",
        "prompt string, class int | have both prompt and class",
        "prompt int | column prompt is int; expected string",
        "prompt string, seed double | column seed is double; expected bigint",
        "class double | column class is double; expected string or int",
        "prompt string, size int | column size is int; expected string",
        "prompt string, image binary | column image is one of the results",
      })
  void wrongTablesAreRefusedAtOnce(String schema, String message) {
    Dataset<Row> table = spark.createDataFrame(List.<Row>of(), StructType.fromDDL(schema));
    assertThatThrownBy(() -> generation.apply(table))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(message);
  }

  @Test
  void wrongOptionsAreRefusedAtOnce() {
    List<Runnable> wrong =
        List.of(
            () -> generation.withBudget("much"),
            () -> generation.withPolicy("heatkw"),
            () -> generation.withSeed(-1),
            () -> generation.withBatch(2000),
            () -> generation.model().on("tpu"),
            () -> generation.model().in("int3"));
    assertThat(wrong)
        .allSatisfy(each -> assertThatThrownBy(each::run).isInstanceOf(UserException.class));
  }

  @Test
  void theDeviceIsTheOneThatSparkGave() {
    SparkModel model = SparkModel.of("emoji");
    assertThat(model.device(List.of())).isEqualTo(Device.CPU);
    assertThat(model.device(List.of("3"))).isEqualTo(Device.cuda(3));
    assertThat(model.on("cuda").device(List.of())).isEqualTo(Device.cuda(0));
    assertThat(model.on("cpu").device(List.of("1"))).isEqualTo(Device.CPU);
    assertThatThrownBy(() -> model.device(List.of("MIG-6d5")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("'MIG-6d5' is no number");
  }
}
