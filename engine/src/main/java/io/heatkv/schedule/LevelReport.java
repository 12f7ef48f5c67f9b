package io.heatkv.schedule;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.json.JsonFile;
import java.io.IOException;
import java.util.Collection;
import java.util.Locale;
import java.util.function.Predicate;

/** What a plan of levels stores when, and in how many bytes. */
record LevelReport(LevelPlan plan) implements ScheduleReport {
  @Override
  public String text() {
    LevelShape sizes = plan.sizes();
    LevelPlan.Use use = plan.use();
    StringBuilder text = new StringBuilder();
    text.append("budget ").append(plan.budget()).append(" of the full cache\n");
    text.append(
        String.format(
            Locale.ROOT,
            "peak %d of %d bytes a picture of %d rows, ratio %s\n",
            peak(),
            sizes.budgetBytes(),
            sizes.rows(),
            peak() / (double) sizes.budgetBytes()));
    text.append(
        String.format(
            Locale.ROOT,
            "a row: %d of data, %d of numbers, %d lost; tables %d, %.2f runs an atom\n",
            use.data(),
            use.numbers(),
            use.loss(),
            use.tables(),
            use.meanRuns()));
    text.append("sha256 ").append(plan.sha256()).append('\n');
    text.append(
        "scale  tokens   found dropped      16       8    k8v4       4  pooled   bytes a row\n");
    for (int t = 0; t < plan.shape().scales(); t++) {
      Collection<Level> seen = plan.seen(t).values();
      text.append(
          String.format(
              Locale.ROOT,
              "%5d %7d %7d %7d",
              t,
              plan.shape().tokens(t),
              seen.size(),
              t * plan.shape().allHeads() - seen.size()));
      for (Precision precision : Precision.values()) {
        text.append(
            String.format(
                Locale.ROOT, " %7d", count(seen, level -> level.precision() == precision)));
      }
      text.append(
          String.format(
              Locale.ROOT,
              " %7d %13s\n",
              count(seen, level -> level.pool() > 1),
              t < plan.shape().scales() - 1 ? end(t) : "-"));
    }
    return text.toString();
  }

  private long peak() {
    return plan.sizes().rows() * plan.rowBytes() + plan.tableBytes();
  }

  private static long count(Collection<Level> levels, Predicate<Level> wanted) {
    return levels.stream().filter(wanted).count();
  }

  /** Bytes of a row when a scale has ended. */
  private long end(int scale) {
    return (long) plan.live(scale, plan.shape().layers() - 1) * plan.sizes().granuleBytes();
  }

  @Override
  public String json() {
    return JsonFile.text(this::write);
  }

  private void write(JsonGenerator out) throws IOException {
    LevelShape sizes = plan.sizes();
    LevelPlan.Use use = plan.use();
    out.writeStartObject();
    out.writeNumberField("budget", plan.budget());
    out.writeNumberField("num_layers", plan.shape().layers());
    out.writeNumberField("num_heads", plan.shape().heads());
    out.writeNumberField("head_dim", sizes.headDim());
    out.writeStringField("scale_schedule", sizes.grids().toString());
    out.writeNumberField("rows", sizes.rows());
    out.writeNumberField("full_bytes", sizes.budgetBytes());
    out.writeNumberField("peak_bytes", peak());
    out.writeNumberField("peak_ratio", peak() / (double) sizes.budgetBytes());
    out.writeNumberField("row_data_bytes", use.data());
    out.writeNumberField("row_number_bytes", use.numbers());
    out.writeNumberField("row_loss_bytes", use.loss());
    out.writeNumberField("table_bytes", use.tables());
    out.writeNumberField("mean_runs", use.meanRuns());
    out.writeObjectFieldStart("levels_by_scale");
    for (int t = 0; t < plan.shape().scales(); t++) {
      Collection<Level> seen = plan.seen(t).values();
      out.writeObjectFieldStart(String.valueOf(t));
      out.writeNumberField("dropped", t * plan.shape().allHeads() - seen.size());
      for (Level level : Level.ALL) {
        long count = count(seen, level::equals);
        if (count > 0) {
          out.writeNumberField(level.toString(), count);
        }
      }
      out.writeEndObject();
    }
    out.writeEndObject();
    out.writeArrayFieldStart("end_of_scale_row_bytes");
    for (int t = 0; t < plan.shape().scales() - 1; t++) {
      out.writeNumber(end(t));
    }
    out.writeEndArray();
    out.writeStringField("sha256", plan.sha256());
    out.writeEndObject();
  }
}
