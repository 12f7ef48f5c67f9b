package io.heatkv.server.http;

import io.heatkv.PictureSizes;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.JobEvent;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Pictures and events in OpenAI's words, with what only this server knows beside them. */
final class Answers {
  private Answers() {}

  /** The answer of a job that is done. */
  static Map<String, Object> of(Job job, PictureSizes.Size size) {
    List<Map<String, Object>> data = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    job.events().stream()
        .filter(JobEvent.Drawn.class::isInstance)
        .map(JobEvent.Drawn.class::cast)
        .sorted(Comparator.comparingInt(JobEvent.Drawn::picture))
        .forEach(drawn -> {
          Map<String, Object> picture = new LinkedHashMap<>();
          picture.put("b64_json", base64(drawn.image()));
          picture.put("seed", drawn.seed());
          picture.put("heatkv", facts(job, drawn));
          data.add(picture);
          drawn.warnings().stream()
              .filter(warning -> !warnings.contains(warning))
              .forEach(warnings::add);
        });
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("created", now());
    answer.put("data", data);
    answer.putAll(settings(job, size));
    answer.put("usage", usage());
    if (!warnings.isEmpty()) {
      answer.put("warnings", warnings);
    }
    return answer;
  }

  static Map<String, Object> partial(Job job, PictureSizes.Size size, JobEvent.Partial partial) {
    Map<String, Object> event = new LinkedHashMap<>();
    event.put("type", "image_generation.partial_image");
    event.put("partial_image_index", partial.index());
    event.put("b64_json", base64(partial.image()));
    event.put("created_at", now());
    event.putAll(settings(job, size));
    event.put("image_index", partial.picture());
    event.put("scale", partial.scale());
    return event;
  }

  static Map<String, Object> completed(Job job, PictureSizes.Size size, JobEvent.Drawn drawn) {
    Map<String, Object> event = new LinkedHashMap<>();
    event.put("type", "image_generation.completed");
    event.put("b64_json", base64(drawn.image()));
    event.put("created_at", now());
    event.putAll(settings(job, size));
    event.put("usage", usage());
    event.put("image_index", drawn.picture());
    event.put("seed", drawn.seed());
    event.put("heatkv", facts(job, drawn));
    return event;
  }

  private static Map<String, Object> settings(Job job, PictureSizes.Size size) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("size", size.toString());
    settings.put("quality", "auto");
    settings.put("background", "opaque");
    settings.put("output_format", job.encoding().format());
    return settings;
  }

  private static Map<String, Object> facts(Job job, JobEvent.Drawn drawn) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("policy", job.form().policy().name());
    facts.put("kv_budget", job.form().policy().budget());
    facts.put("kv_bytes", drawn.kvBytes());
    facts.put("full_kv_bytes", drawn.fullKvBytes());
    facts.put("batch", drawn.batch());
    facts.put("seconds", drawn.seconds());
    facts.put("warnings", drawn.warnings());
    return facts;
  }

  /** OpenAI counts what it charges for; here that is nothing. */
  private static Map<String, Object> usage() {
    Map<String, Object> usage = new LinkedHashMap<>();
    usage.put("input_tokens", 0);
    usage.put("input_tokens_details", Map.of("image_tokens", 0, "text_tokens", 0));
    usage.put("output_tokens", 0);
    usage.put("total_tokens", 0);
    return usage;
  }

  static String base64(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }

  private static long now() {
    return System.currentTimeMillis() / 1000;
  }
}
