package io.heatkv.spark;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.ForeachPartitionFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Draws a file of prompts: {@code GenerateJob PROMPTS OUT [NAME=VALUE …]}.
 *
 * <p>PROMPTS is a text file with a prompt on each line, or JSON lines or Parquet with the columns
 * of {@link PictureGeneration}; OUT becomes a folder with {@code pictures.parquet} and {@code
 * png/}, on any file system that Hadoop knows. Options are {@code model}, {@code device}, {@code
 * dtype}, {@code budget}, {@code policy}, {@code seed}, {@code batch} and {@code partitions}.
 */
public final class GenerateJob {
  private static final Set<String> NAMES =
      Set.of("model", "device", "dtype", "budget", "policy", "seed", "batch", "partitions");
  private static final int WRONG_INPUT = 2;

  private GenerateJob() {}

  public static void main(String[] arguments) {
    try {
      run(SparkSession.builder(), arguments);
    } catch (UserException e) {
      System.err.println("heatkv: " + DrawnRows.line(e));
      System.exit(WRONG_INPUT);
    }
  }

  static void run(SparkSession.Builder builder, String... arguments) {
    if (arguments.length < 2) {
      throw new UserException("expected PROMPTS OUT [NAME=VALUE …]");
    }
    Map<String, String> options = options(arguments);
    PictureGeneration generation = generation(options);
    SparkSession spark = builder.appName("heatkv generate").getOrCreate();
    try {
      draw(spark, generation, arguments[0], new Path(arguments[1]), options);
    } finally {
      spark.stop();
    }
  }

  private static void draw(
      SparkSession spark,
      PictureGeneration generation,
      String source,
      Path out,
      Map<String, String> options) {
    Configuration hadoop = spark.sparkContext().hadoopConfiguration();
    try {
      FileSystem files = out.getFileSystem(hadoop);
      if (!files.exists(new Path(source))) {
        throw new UserException("prompts " + source + " aren't there; name a file");
      }
      if (files.exists(new Path(out, "pictures.parquet"))) {
        throw new UserException(out + " holds pictures already; name another folder");
      }
    } catch (IOException e) {
      throw new UserException(out + " can't be used: " + e.getMessage(), e);
    }
    Dataset<Row> prompts = prompts(spark, source);
    int partitions =
        Math.toIntExact(number(options, "partitions", spark.sparkContext().defaultParallelism()));
    String table = new Path(out, "pictures.parquet").toString();
    generation.apply(prompts.repartition(partitions)).write().parquet(table);
    Dataset<Row> pictures = spark.read().parquet(table);
    SerializableConfiguration configuration = new SerializableConfiguration(hadoop);
    String folder = new Path(out, "png").toString();
    ForeachPartitionFunction<Row> write =
        rows -> rows.forEachRemaining(row -> write(row, folder, configuration.value()));
    pictures
        .filter(functions.col("error").isNull())
        .select("number", "image")
        .foreachPartition(write);
    long all = pictures.count();
    long wrong = pictures.filter(functions.col("error").isNotNull()).count();
    System.out.printf("%s: %d pictures, %d errors%n", out, all - wrong, wrong);
    pictures
        .filter(functions.col("error").isNotNull())
        .select("number", "error")
        .orderBy("number")
        .limit(10)
        .collectAsList()
        .forEach(row -> System.err.printf("row %d: %s%n", row.getLong(0), row.getString(1)));
  }

  private static Map<String, String> options(String[] arguments) {
    Map<String, String> options = new HashMap<>();
    for (String option : List.of(arguments).subList(2, arguments.length)) {
      int sign = option.indexOf('=');
      if (sign < 1 || !NAMES.contains(option.substring(0, sign))) {
        throw new UserException(
            "option '%s' is unknown; expected NAME=VALUE with %s"
                .formatted(option, String.join(", ", NAMES.stream().sorted().toList())));
      }
      options.put(option.substring(0, sign), option.substring(sign + 1));
    }
    return options;
  }

  private static PictureGeneration generation(Map<String, String> options) {
    PictureGeneration usual = PictureGeneration.of("emoji");
    SparkModel model =
        new SparkModel(
            options.getOrDefault("model", "emoji"),
            options.getOrDefault("device", "auto"),
            options.get("dtype"),
            null);
    return new PictureGeneration(
        model,
        options.getOrDefault("policy", usual.policy()),
        options.get("budget"),
        number(options, "seed", 0),
        Math.toIntExact(number(options, "batch", 0)));
  }

  private static long number(Map<String, String> options, String name, long usual) {
    String text = options.get(name);
    if (text == null) {
      return usual;
    }
    if (!text.matches("\\d{1,9}")) {
      throw new UserException(name + " '" + text + "' is no number; expected 0 to 999999999");
    }
    return Long.parseLong(text);
  }

  /** Rows with their number, which tells equal prompts apart and names the files. */
  private static Dataset<Row> prompts(SparkSession spark, String file) {
    Dataset<Row> given =
        file.endsWith(".parquet")
            ? spark.read().parquet(file)
            : file.endsWith(".jsonl") || file.endsWith(".json")
                ? spark.read().json(file)
                : spark
                    .read()
                    .text(file)
                    .withColumnRenamed("value", "prompt")
                    .filter("trim(prompt) != ''");
    if (List.of(given.columns()).contains("number")) {
      throw new UserException(
          "column number of %s is the job's, which numbers the rows; name it otherwise"
              .formatted(file));
    }
    return given.coalesce(1).withColumn("number", functions.monotonically_increasing_id().plus(1));
  }

  private static void write(Row row, String folder, Configuration hadoop) {
    Path file = new Path(folder, "%06d.png".formatted(row.getLong(0)));
    // Of this try alone: another may write the same picture, and either may be killed.
    Path own =
        new Path(folder, ".%s.%d".formatted(file.getName(), TaskContext.get().taskAttemptId()));
    try {
      FileSystem files = file.getFileSystem(hadoop);
      try (OutputStream out = files.create(own, true)) {
        out.write(row.<byte[]>getAs("image"));
      }
      if (!files.rename(own, file)) {
        files.delete(own, false);
        if (!files.exists(file)) {
          throw new IOException(file + " can't be written");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
