package io.heatkv.spark;

import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.jspecify.annotations.Nullable;

/**
 * Draws the rows of a table.
 *
 * <pre>{@code
 * Dataset<Row> pictures =
 *     prompts.transform(PictureGeneration.of("emoji").withBudget("10%").withSeed(7)::apply);
 * }</pre>
 *
 * <p>Rows have a column {@code prompt} or {@code class}, and may have {@code seed}, {@code
 * negative_prompt} and {@code size} such as {@code 1024x1024}; all other columns pass through. Each
 * row comes back with {@code image}, a PNG that tells how it was drawn, {@code seed}, {@code
 * kv_bytes}, {@code milliseconds} and {@code error}: one line if it couldn't be drawn, and then no
 * image. No row fails the job.
 *
 * <p>A row's picture depends on this object and on the row alone: where it has no seed, it comes
 * from the job's seed and the row's columns. So a task that runs again, or twice, draws the same.
 * Rows that are equal in every column draw the same picture; a column that numbers them tells them
 * apart.
 *
 * @param model that draws
 * @param policy of the cache of keys and values
 * @param budget of it, such as {@code 10%}; null for the full cache
 * @param seed of the job, 0 or more
 * @param batch most pictures of a pass; 0 for 4 on the CPU and 16 on a GPU, in either case no more
 *     than fit into the memory
 */
public record PictureGeneration(
    SparkModel model, String policy, @Nullable String budget, long seed, int batch)
    implements Serializable {
  static final String ROW_HASH = "heatkv_row";
  static final List<String> RESULTS = List.of("image", "seed", "kv_bytes", "milliseconds", "error");

  private static final int MOST = 1024;

  /**
   * @throws UserException if a value is out of range, or there is no such policy
   */
  public PictureGeneration {
    if (budget != null) {
      Budget _ = Budget.parse(budget);
    }
    if (!CachePolicies.names().contains(policy)) {
      throw new UserException(
          "policy '%s' is unknown; expected one of %s"
              .formatted(policy, String.join(", ", CachePolicies.names())));
    }
    if (seed < 0) {
      throw new UserException("seed " + seed + " is out of range; expected 0 or more");
    }
    if (batch < 0 || batch > MOST) {
      throw new UserException("batch " + batch + " is out of range; expected 0 to " + MOST);
    }
  }

  /** Pictures of a model with the full cache. */
  public static PictureGeneration of(String model) {
    return of(SparkModel.of(model));
  }

  /** As above. */
  public static PictureGeneration of(SparkModel model) {
    return new PictureGeneration(model, Allocation.DEFAULT.policy(), null, 0, 0);
  }

  /** The same under a budget of the cache. */
  public PictureGeneration withBudget(String other) {
    return new PictureGeneration(model, policy, other, seed, batch);
  }

  /** The same under another policy. */
  public PictureGeneration withPolicy(String other) {
    return new PictureGeneration(model, other, budget, seed, batch);
  }

  /** The same with another seed of the job: rows without a seed draw other pictures. */
  public PictureGeneration withSeed(long other) {
    return new PictureGeneration(model, policy, budget, other, batch);
  }

  /** The same with another number of pictures of a pass. */
  public PictureGeneration withBatch(int other) {
    return new PictureGeneration(model, policy, budget, seed, other);
  }

  /**
   * Draws each row, when the result is asked for.
   *
   * @throws UserException if a column is missing, of a wrong type, or named as one of the results
   */
  public Dataset<Row> apply(Dataset<Row> prompts) {
    StructType given = prompts.schema();
    check(given);
    Columns columns = Columns.of(given);
    PictureGeneration generation = this;
    StructType result = result(given);
    MapPartitionsFunction<Row, Row> draw = rows -> new DrawnRows(generation, columns, result, rows);
    return prompts
        .withColumn(ROW_HASH, functions.xxhash64(hashed(prompts, given)))
        .mapPartitions(draw, Encoders.row(result));
  }

  private static void check(StructType given) {
    List<String> names = Arrays.asList(given.fieldNames());
    boolean prompt = names.contains("prompt");
    if (prompt == names.contains("class")) {
      throw new UserException(
          "columns %s have %s; expected one column prompt or class"
              .formatted(String.join(", ", names), prompt ? "both prompt and class" : "no prompt"));
    }
    for (StructField field : given.fields()) {
      String name = field.name();
      String type = field.dataType().typeName().toLowerCase(Locale.ROOT);
      boolean whole = List.of("byte", "short", "integer", "long").contains(type);
      boolean right =
          switch (name) {
            case "prompt", "negative_prompt", "size" -> type.equals("string");
            case "class" -> type.equals("string") || whole;
            case "seed" -> whole;
            default -> true;
          };
      if (!right) {
        throw new UserException(
            "column %s is %s; expected %s"
                .formatted(
                    name,
                    field.dataType().simpleString(),
                    name.equals("seed")
                        ? "bigint"
                        : name.equals("class") ? "string or int" : "string"));
      }
      if (name.equals(ROW_HASH) || (RESULTS.contains(name) && !name.equals("seed"))) {
        throw new UserException(
            "column %s is one of the results; name the input's otherwise".formatted(name));
      }
    }
  }

  /** All columns that Spark can hash. */
  private static Column[] hashed(Dataset<Row> prompts, StructType given) {
    List<Column> columns = new ArrayList<>();
    for (StructField field : given.fields()) {
      if (isHashable(field.dataType())) {
        columns.add(prompts.col("`" + field.name().replace("`", "``") + "`"));
      }
    }
    return columns.toArray(Column[]::new);
  }

  private static boolean isHashable(DataType type) {
    String json = type.json();
    return !json.contains("\"map\"") && !json.contains("variant");
  }

  private static StructType result(StructType given) {
    List<StructField> fields = new ArrayList<>();
    for (StructField field : given.fields()) {
      if (!field.name().equals("seed")) {
        fields.add(field);
      }
    }
    fields.add(DataTypes.createStructField("image", DataTypes.BinaryType, true));
    fields.add(DataTypes.createStructField("seed", DataTypes.LongType, true));
    fields.add(DataTypes.createStructField("kv_bytes", DataTypes.LongType, true));
    fields.add(DataTypes.createStructField("milliseconds", DataTypes.DoubleType, true));
    fields.add(DataTypes.createStructField("error", DataTypes.StringType, true));
    return DataTypes.createStructType(fields);
  }

  /**
   * Where the columns of a row lie; -1 for one that isn't there.
   *
   * @param hash behind all others
   * @param passed those that come back as they are
   */
  record Columns(int prompt, int seed, int negativePrompt, int size, int hash, List<Integer> passed)
      implements Serializable {
    static Columns of(StructType given) {
      List<String> names = Arrays.asList(given.fieldNames());
      List<Integer> passed = new ArrayList<>();
      for (int i = 0; i < names.size(); i++) {
        if (!names.get(i).equals("seed")) {
          passed.add(i);
        }
      }
      return new Columns(
          Math.max(names.indexOf("prompt"), names.indexOf("class")),
          names.indexOf("seed"),
          names.indexOf("negative_prompt"),
          names.indexOf("size"),
          names.size(),
          passed);
    }
  }
}
