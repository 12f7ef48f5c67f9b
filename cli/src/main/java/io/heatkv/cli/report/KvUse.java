package io.heatkv.cli.report;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.cli.console.Sizes;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Bytes of keys and values that one picture takes, and takes with the full cache.
 *
 * @param budget ratio of the full cache that was allowed
 * @param arena allocated for earlier scales
 * @param parts of it, and tables
 * @param peak most that was live in it
 * @param full what the full cache allocates
 * @param counted bytes of a budget of 1: the full cache at 2 bytes a number
 * @param measured transient bytes, known once the picture is drawn
 */
public record KvUse(
    double budget,
    long arena,
    KvParts parts,
    long peak,
    long full,
    long counted,
    Optional<KvMemory> measured) {
  /**
   * A picture of a request that is to be drawn.
   *
   * @param shape of all its pictures together
   */
  public static KvUse planned(GenerationRequest request, KvShape shape) {
    int pictures = request.images();
    KvPlan plan = request.policy().plan(shape);
    return new KvUse(
        request.policy().budget(),
        plan.bytes() / pictures,
        plan.parts().each(pictures),
        plan.peakBytes() / pictures,
        shape.fullBytes() / pictures,
        shape.budgetBytes() / pictures,
        Optional.empty());
  }

  /** The same once the pictures are drawn. */
  public KvUse measured(KvMemory memory, int pictures) {
    KvMemory each = memory.each(pictures);
    return new KvUse(budget, each.storage(), each.parts(), peak, full, counted, Optional.of(each));
  }

  /** Of the full cache: at 2 bytes a number, as budgets count, unless all of it is kept. */
  public double share() {
    return arena == full ? 1 : arena / (double) counted;
  }

  /** Keys and numbers for programs. */
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("kv_budget", budget);
    json.put("kv_bytes", arena);
    json.putAll(parts.toJson());
    json.put("kv_peak_bytes", peak);
    json.put("full_kv_bytes", full);
    json.put("kv_share", share());
    measured.ifPresent(memory -> {
      json.put("kv_current_scale_bytes", memory.currentScale());
      json.put("kv_workspace_bytes", memory.workspace());
    });
    return json;
  }

  /** One line for people. */
  public String toText() {
    String text =
        String.format(
            Locale.ROOT,
            "KV cache %s (%.2f%% of the full cache, budget %s), peak %s",
            Sizes.text(arena),
            100 * share(),
            budget,
            Sizes.text(peak));
    return text
        + measured
            .map(memory ->
                "; besides, current scale %s, workspace %s"
                    .formatted(Sizes.text(memory.currentScale()), Sizes.text(memory.workspace())))
            .orElse("");
  }
}
