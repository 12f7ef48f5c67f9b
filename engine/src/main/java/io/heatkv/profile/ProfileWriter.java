package io.heatkv.profile;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.json.JsonFile;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.schedule.RemovalCosts;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The JSON of a profile: format, version, setup, prompts, then {@code sums}, {@code scores} and
 * {@code orders}, and {@code statistics} if they are known.
 *
 * <p>Sums and scores are {@code [source][layer][head]} from the first scale that isn't a sink, sums
 * in units of 2^-40; orders are {@code [source][rank] = [head, layer]}. Scores and orders follow
 * from the sums and are there for other tools: a file where they don't is refused. Statistics are
 * sums in the same units, see {@link PromptStatistics}; {@code removal_costs}, where known, are
 * sums like the first in their own unit, see {@link RemovalCosts}; {@code level_costs} are sums
 * {@code [source][layer][head][level]} of all scales but the last, see {@link LevelCosts}. A
 * calibration without any prompt done has none of these. Version 1 had neither {@code head_dim} nor
 * {@code level_costs}.
 */
final class ProfileWriter {
  static final String FORMAT = "heatkv-profile";
  static final int VERSION = 2;

  private ProfileWriter() {}

  static void write(Path file, CalibrationProfile profile) {
    JsonFile.write(file, out -> write(out, profile));
  }

  private static void write(JsonGenerator out, CalibrationProfile profile) throws IOException {
    CalibrationSetup setup = profile.setup();
    out.writeStartObject();
    out.writeStringField("format", FORMAT);
    out.writeNumberField("version", VERSION);
    out.writeStringField("model", setup.model());
    out.writeStringField("fingerprint", setup.fingerprint());
    out.writeNumberField("layers", setup.layers());
    out.writeNumberField("heads", setup.heads());
    out.writeStringField("scale_schedule", setup.grids().toString());
    out.writeNumberField("sink_scales", setup.sinkScales());
    writeDoubles(out, "cfg", setup.cfg());
    writeDoubles(out, "tau", setup.tau());
    out.writeNumberField("top_p", setup.topP());
    if (setup.topK() > 0) {
      out.writeNumberField("top_k", setup.topK());
    }
    if (setup.headDim() > 0) {
      out.writeNumberField("head_dim", setup.headDim());
    }
    out.writeNumberField("prompts", profile.prompts());
    out.writeNumberField("prompts_done", profile.promptsDone());
    out.writeStringField("prompts_sha256", profile.promptsSha256());
    out.writeArrayFieldStart("prompt_sets");
    for (PromptSet set : profile.promptSets()) {
      out.writeStartObject();
      out.writeStringField("sha256", set.sha256());
      out.writeNumberField("prompts", set.prompts());
      out.writeEndObject();
    }
    out.writeEndArray();
    out.writeNumberField("sum_unit", 0x1p-40);
    HeadScores scores = profile.scores();
    int first = scores.sinkScales();
    writeHeads(out, "sums", scores, first, (s, l, h) -> out.writeNumber(scores.sum(s, l, h)));
    if (profile.promptsDone() > 0) {
      writeHeads(out, "scores", scores, first, (s, l, h) -> out.writeNumber(scores.score(s, l, h)));
      writeOrders(out, profile.orders());
      if (profile.knownStatistics().isPresent()) {
        writeStatistics(out, profile.statistics());
      }
      if (profile.knownRemovalCosts().isPresent()) {
        RemovalCosts costs = profile.removalCosts();
        out.writeObjectFieldStart("removal_costs");
        out.writeNumberField("sum_unit", RemovalCosts.UNIT);
        writeHeads(out, "sums", scores, first, (s, l, h) -> out.writeNumber(costs.sum(s, l, h)));
        out.writeEndObject();
      }
      if (profile.knownLevelCosts().isPresent()) {
        LevelCosts costs = profile.levelCosts();
        out.writeObjectFieldStart("level_costs");
        out.writeNumberField("sum_unit", LevelCosts.UNIT);
        writeHeads(
            out,
            "sums",
            scores,
            0,
            (s, l, h) -> out.writeArray(costs.sums(s, l, h), 0, LevelCosts.LEVELS));
        out.writeEndObject();
      }
    }
    out.writeEndObject();
  }

  private static void writeDoubles(JsonGenerator out, String key, List<Double> values)
      throws IOException {
    out.writeArrayFieldStart(key);
    for (double value : values) {
      out.writeNumber(value);
    }
    out.writeEndArray();
  }

  private interface HeadValue {
    void write(int source, int layer, int head) throws IOException;
  }

  private static void writeHeads(
      JsonGenerator out, String key, HeadScores scores, int first, HeadValue value)
      throws IOException {
    out.writeArrayFieldStart(key);
    for (int s = first; s < scores.scales() - 1; s++) {
      out.writeStartArray();
      for (int l = 0; l < scores.layers(); l++) {
        out.writeStartArray();
        for (int h = 0; h < scores.heads(); h++) {
          value.write(s, l, h);
        }
        out.writeEndArray();
      }
      out.writeEndArray();
    }
    out.writeEndArray();
  }

  private static void writeOrders(JsonGenerator out, HeadOrders orders) throws IOException {
    out.writeArrayFieldStart("orders");
    for (int s = orders.firstSource(); s <= orders.lastSource(); s++) {
      out.writeStartArray();
      for (int rank = 0; rank < orders.layers() * orders.heads(); rank++) {
        Atom atom = orders.atom(s, rank);
        out.writeArray(new int[] {atom.head(), atom.layer()}, 0, 2);
      }
      out.writeEndArray();
    }
    out.writeEndArray();
  }

  private static void writeStatistics(JsonGenerator out, AttentionStatistics statistics)
      throws IOException {
    out.writeObjectFieldStart("statistics");
    writeRows(out, "selectivity", statistics.selectivitySums());
    writeRows(out, "attention_variance", statistics.varianceSums());
    writeRows(out, "key_distance", new long[][] {statistics.distanceSums()});
    out.writeEndObject();
  }

  private static void writeRows(JsonGenerator out, String key, long[][] rows) throws IOException {
    out.writeArrayFieldStart(key);
    for (long[] row : rows) {
      out.writeArray(row, 0, row.length);
    }
    out.writeEndArray();
  }
}
