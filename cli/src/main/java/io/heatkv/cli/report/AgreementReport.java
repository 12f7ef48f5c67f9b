package io.heatkv.cli.report;

import io.heatkv.profile.ProfileComparison;
import io.heatkv.schedule.RankCorrelation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * How far two profiles agree, for people and programs.
 *
 * @param one file from which schedules are made
 * @param other file by which they are measured
 * @param found of the two
 */
public record AgreementReport(Path one, Path other, ProfileComparison found) {
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("one", one);
    json.put("other", other);
    json.put("shared_prompts", found.sharedPrompts());
    json.put("s_cas", toJson(found.scas()));
    found.removalCosts().ifPresent(ranks -> json.put("removal_costs", toJson(ranks)));
    found.levelCosts().ifPresent(ranks -> json.put("level_costs", toJson(ranks)));
    List<Object> schedules = new ArrayList<>();
    for (ProfileComparison.Transfer schedule : found.schedules()) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("budget", schedule.budget());
      // Null where the budget is infeasible.
      entry.put("cost_ratio", schedule.costRatio().orElse(Double.NaN));
      schedules.add(entry);
    }
    json.put("schedules", schedules);
    json.put("missing", found.missing());
    return json;
  }

  private static Map<String, Object> toJson(RankCorrelation ranks) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("overall", ranks.overall());
    json.put("mean_within_scales", ranks.mean());
    json.put("least_within_scales", ranks.least());
    return json;
  }

  public String toText() {
    List<String> lines = new ArrayList<>();
    lines.add("rank correlation   overall   within a scale: mean     least");
    lines.add(line("S-CAS", found.scas()));
    found.removalCosts().ifPresent(ranks -> lines.add(line("removal costs", ranks)));
    found.levelCosts().ifPresent(ranks -> lines.add(line("level costs", ranks)));
    found.missing().forEach(clause -> lines.add(clause + "; calibrate again"));
    if (found.sharedPrompts() > 0) {
      lines.add(
          "both count the same %d prompts, so they agree more than others would"
              .formatted(found.sharedPrompts()));
    }
    if (!found.schedules().isEmpty()) {
      lines.add("");
      lines.add("budget   cost of schedules of %s by the measure of %s,".formatted(one, other));
      lines.add("         as a ratio to that of schedules of the latter");
    }
    for (ProfileComparison.Transfer schedule : found.schedules()) {
      lines.add(
          String.format(
              Locale.ROOT,
              "%5.2f%%   %s",
              100 * schedule.budget(),
              schedule.costRatio().isPresent()
                  ? String.format(Locale.ROOT, "%.4f", schedule.costRatio().getAsDouble())
                  : "infeasible"));
    }
    return String.join(System.lineSeparator(), lines);
  }

  private static String line(String name, RankCorrelation ranks) {
    return String.format(
        Locale.ROOT,
        "%-16s %9.4f %22.4f %9.4f",
        name,
        ranks.overall(),
        ranks.mean(),
        ranks.least());
  }
}
