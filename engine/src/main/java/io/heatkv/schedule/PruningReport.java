package io.heatkv.schedule;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.json.JsonFile;
import java.io.IOException;
import java.util.Locale;
import java.util.function.IntToLongFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What a schedule removes when; programs read it under the reference's names. */
record PruningReport(PruningSchedule schedule) implements ScheduleReport {
  @Override
  public String text() {
    StringBuilder text = new StringBuilder();
    text.append("budget ").append(schedule.budget()).append(" of the full cache\n");
    text.append("peak ").append(schedule.peakTokens()).append(" of ").append(fullPeak());
    text.append(" head-tokens, ratio ").append(schedule.peakRatio()).append('\n');
    text.append("sha256 ").append(schedule.sha256()).append('\n');
    text.append("scale  tokens  heads-lost  unseen-atoms  early-atoms   largest       end\n");
    for (int t = 0; t < schedule.shape().scales(); t++) {
      boolean cached = t < schedule.shape().scales() - 1;
      text.append(
          String.format(
              Locale.ROOT,
              "%5d %7d %11d %13d %12d %9s %9s\n",
              t,
              schedule.shape().tokens(t),
              schedule.removedHeads(t),
              schedule.removedCount(t),
              earlyCount(t),
              cached ? largest(t) : "-",
              cached ? end(t) : "-"));
    }
    return text.toString();
  }

  @Override
  public String json() {
    return JsonFile.text(this::write);
  }

  private void write(JsonGenerator out) throws IOException {
    ScheduleShape shape = schedule.shape();
    out.writeStartObject();
    out.writeNumberField("budget", schedule.budget());
    out.writeNumberField("num_layers", shape.layers());
    out.writeNumberField("num_heads", shape.heads());
    writeArray(
        out, "scale_tokens", IntStream.range(0, shape.scales()).map(shape::tokens).asLongStream());
    out.writeNumberField("protected_prefix_scales", shape.sinkScales());
    out.writeNumberField("source_scale_start", shape.firstSource());
    out.writeNumberField("source_scale_end", shape.lastSource());
    writeByScale(out, "pruned_heads_for_budget", schedule::removedHeads);
    writeByScale(out, "removed_counts_by_scale", schedule::removedCount);
    writeByScale(out, "early_activated_counts", this::earlyCount);
    writeByScale(out, "final_removed_counts", t -> schedule.finalCodes(t).length);
    writeArray(
        out, "end_of_scale_totals", IntStream.range(0, shape.scales() - 1).mapToLong(this::end));
    writeArray(
        out, "max_in_scale", IntStream.range(0, shape.scales() - 1).mapToLong(this::largest));
    out.writeNumberField("peak_total_tokens", schedule.peakTokens());
    out.writeNumberField("peak_ratio", schedule.peakRatio());
    out.writeNumberField("threshold_total_tokens", schedule.thresholdTokens());
    out.writeNumberField("full_peak_total_tokens", fullPeak());
    out.writeStringField("sha256", schedule.sha256());
    out.writeEndObject();
  }

  private void writeByScale(JsonGenerator out, String key, IntToLongFunction value)
      throws IOException {
    out.writeObjectFieldStart(key);
    for (int t = 0; t < schedule.shape().scales(); t++) {
      out.writeNumberField(String.valueOf(t), value.applyAsLong(t));
    }
    out.writeEndObject();
  }

  private static void writeArray(JsonGenerator out, String key, LongStream values)
      throws IOException {
    long[] array = values.toArray();
    out.writeFieldName(key);
    out.writeArray(array, 0, array.length);
  }

  private long fullPeak() {
    return schedule.shape().allHeads() * schedule.shape().fullTokens();
  }

  private long earlyCount(int scale) {
    return IntStream.range(0, schedule.shape().layers())
        .mapToLong(l -> schedule.earlyCodes(scale, l).length)
        .sum();
  }

  private long largest(int scale) {
    return IntStream.range(0, schedule.shape().layers())
        .mapToLong(l -> schedule.total(scale, l))
        .max()
        .orElseThrow();
  }

  private long end(int scale) {
    return schedule.total(scale, schedule.shape().layers() - 1);
  }
}
