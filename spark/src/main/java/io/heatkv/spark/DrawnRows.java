package io.heatkv.spark;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.spark.PictureGeneration.Columns;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.expressions.GenericRowWithSchema;
import org.apache.spark.sql.types.StructType;
import org.jspecify.annotations.Nullable;

/** The rows of a partition, drawn as they are asked for, some at a time. */
final class DrawnRows implements Iterator<Row> {
  private static final int BATCH_ON_CPU = 4;
  private static final int BATCH_ON_GPU = 16;

  private final PictureGeneration generation;
  private final Columns columns;
  private final StructType schema;
  private final Iterator<Row> rows;
  private final TaskContext context;
  private final ArrayDeque<Row> drawn = new ArrayDeque<>();
  private @Nullable ExecutorModel model;
  private @Nullable String noModel;

  /**
   * @param schema of the rows that come back
   */
  DrawnRows(PictureGeneration generation, Columns columns, StructType schema, Iterator<Row> rows) {
    this.generation = generation;
    this.columns = columns;
    this.schema = schema;
    this.rows = rows;
    context = TaskContext.get();
  }

  /** A row while it is drawn. */
  private static final class Line {
    private final Row row;
    private @Nullable Long seed;
    private @Nullable PictureRequest picture;
    private @Nullable ScaleGrids grids;
    private byte @Nullable [] image;
    private @Nullable Long kvBytes;
    private @Nullable Double milliseconds;
    private @Nullable String error;

    Line(Row row) {
      this.row = row;
    }
  }

  @Override
  public boolean hasNext() {
    return !drawn.isEmpty() || rows.hasNext();
  }

  @Override
  public Row next() {
    if (drawn.isEmpty()) {
      if (!rows.hasNext()) {
        throw new NoSuchElementException();
      }
      drawSome();
    }
    return drawn.removeFirst();
  }

  private void drawSome() {
    // Nothing is loaded for a partition without rows.
    if (model == null && noModel == null) {
      try {
        model = ExecutorModel.of(generation.model(), context);
      } catch (UserException e) {
        noModel = line(e);
      }
    }
    int batch = batch();
    List<Line> lines = new ArrayList<>();
    while (lines.size() < batch && rows.hasNext()) {
      lines.add(new Line(rows.next()));
    }
    for (Line each : lines) {
      try {
        read(each);
      } catch (UserException e) {
        each.error = line(e);
      }
    }
    Map<ScaleGrids, List<Line>> forms =
        lines.stream()
            .filter(each -> each.error == null && each.grids != null)
            .collect(
                Collectors.groupingBy(each -> each.grids, LinkedHashMap::new, Collectors.toList()));
    forms.forEach(this::draw);
    lines.forEach(each -> drawn.add(result(each)));
  }

  private int batch() {
    if (generation.batch() > 0 || model == null) {
      return Math.max(1, generation.batch());
    }
    return model.generator().model().device().isCuda() ? BATCH_ON_GPU : BATCH_ON_CPU;
  }

  private void read(Line each) {
    each.seed = seed(each.row);
    if (model == null) {
      throw new UserException(String.valueOf(noModel));
    }
    String prompt = text(each.row, columns.prompt());
    if (prompt == null || prompt.isBlank()) {
      throw new UserException("the prompt is empty; expected a text that says what to draw");
    }
    if (each.seed < 0) {
      throw new UserException("seed " + each.seed + " is out of range; expected 0 or more");
    }
    model.generator().description().requirePrompt(prompt);
    String negative = text(each.row, columns.negativePrompt());
    Optional<String> other = Optional.ofNullable(negative).filter(text -> !text.isBlank());
    other.ifPresent(model.generator().description()::requirePrompt);
    each.grids = model.grids(text(each.row, columns.size()));
    each.picture =
        new PictureRequest(prompt, other, each.seed, model.generator().description().sampling());
  }

  /** The row's own, else from the job's and the row. */
  private long seed(Row row) {
    return columns.seed() >= 0 && !row.isNullAt(columns.seed())
        ? ((Number) row.get(columns.seed())).longValue()
        : ImageSeeds.mixed(generation.seed(), row.getLong(columns.hash()));
  }

  private static @Nullable String text(Row row, int column) {
    return column < 0 || row.isNullAt(column) ? null : row.get(column).toString();
  }

  /** Draws rows of one size, in as many passes as the memory asks for. */
  private void draw(ScaleGrids grids, List<Line> lines) {
    List<Line> left = lines;
    while (!left.isEmpty()) {
      int pictures = left.size();
      try {
        pictures = open().fitting(request(grids, left));
        List<Line> pass = left.subList(0, pictures);
        drawPass(grids, pass);
      } catch (CancellationException e) {
        throw killed(e);
      } catch (VirtualMachineError e) {
        throw e;
      } catch (RuntimeException | Error e) {
        failed(grids, left.subList(0, pictures), e);
      }
      left = left.subList(pictures, left.size());
    }
  }

  /** One of them may be to blame: each is drawn alone. */
  private void failed(ScaleGrids grids, List<Line> pass, Throwable problem) {
    if (context.isInterrupted()) {
      throw killed(problem);
    }
    if (pass.size() == 1) {
      pass.getFirst().error = line(problem);
    } else {
      pass.forEach(each -> draw(grids, List.of(each)));
    }
  }

  private TaskKilledException killed(Throwable cause) {
    TaskKilledException killed = new TaskKilledException("the task was killed while it drew");
    killed.addSuppressed(cause);
    return killed;
  }

  private ExecutorModel open() {
    if (model == null) {
      throw new IllegalStateException("rows are read only with a model");
    }
    return model;
  }

  private GenerationRequest request(ScaleGrids grids, List<Line> lines) {
    CachePolicy policy = open().policy(generation.policy(), generation.budget(), grids);
    return new GenerationRequest(
        lines.stream().flatMap(each -> Optional.ofNullable(each.picture).stream()).toList(),
        grids,
        policy);
  }

  private void drawPass(ScaleGrids grids, List<Line> pass) {
    GenerationListener untilKilled =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation generation) {}

          @Override
          public boolean isCancelled() {
            return context.isInterrupted();
          }
        };
    GenerationResult result = open().generator().generate(request(grids, pass), untilKilled);
    for (int i = 0; i < pass.size(); i++) {
      Line each = pass.get(i);
      each.image = result.images().get(i).png();
      each.kvBytes = result.kv().storage() / pass.size();
      each.milliseconds = result.timings().total() / pass.size();
    }
  }

  private Row result(Line each) {
    List<@Nullable Object> values = new ArrayList<>();
    columns.passed().forEach(column -> values.add(each.row.get(column)));
    values.add(each.image);
    values.add(each.seed);
    values.add(each.kvBytes);
    values.add(each.milliseconds);
    values.add(each.error);
    // Spark may hand it to the next function as it is, which asks for columns by name.
    return new GenericRowWithSchema(values.toArray(), schema);
  }

  /** A message of one line. */
  static String line(Throwable problem) {
    String text =
        problem instanceof UserException
            ? String.valueOf(problem.getMessage())
            : problem.toString();
    return text.strip().replaceAll("\\s*[\\p{Cntrl}\\u0085\\u2028\\u2029]+\\s*", " ");
  }
}
