package io.heatkv.server.http;

import io.heatkv.GenerationRequest;
import io.heatkv.PictureSizes;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.json.JsonObject;
import io.heatkv.policy.CachePolicies;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.schedule.Allocation;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Encoding;
import io.heatkv.server.core.Form;
import io.heatkv.server.core.Forms;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.Scheduler;
import io.heatkv.server.core.ServedModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/** Reads bodies of OpenAI's image generations, with extensions, as jobs. */
final class ImagesRequest {
  // Known to OpenAI's clients and without meaning here.
  private static final Set<String> IGNORED =
      Set.of(
          "quality",
          "style",
          "background",
          "moderation",
          "user",
          "safety_identifier",
          "complexity",
          "frame_count",
          "frame_duration_ms",
          "svg");
  private static final Set<String> KNOWN =
      Set.of(
          "prompt",
          "class",
          "model",
          "n",
          "size",
          "response_format",
          "output_format",
          "output_compression",
          "stream",
          "partial_images",
          "seed",
          "negative_prompt",
          "guidance_scale",
          "kv_budget",
          "policy");
  private static final Path BODY = Path.of("body");
  private static final String WHOLE = "1";

  private final ServedModel model;
  private final Forms forms;
  private final PictureSizes sizes;
  private final Scheduler scheduler;
  private final ServerOptions options;

  /**
   * @param stream whether events are asked for
   * @param size that is drawn
   */
  record Read(Job job, boolean stream, PictureSizes.Size size) {}

  ImagesRequest(
      ServedModel model,
      Forms forms,
      PictureSizes sizes,
      Scheduler scheduler,
      ServerOptions options) {
    this.model = model;
    this.forms = forms;
    this.sizes = sizes;
    this.scheduler = scheduler;
    this.options = options;
  }

  /**
   * The job of a body.
   *
   * @throws ApiException naming what is wrong
   */
  Read read(String body) {
    JsonObject json = parse(body);
    try {
      return read(json);
    } catch (UserException e) {
      throw ApiException.invalid(null, withoutSource(e));
    }
  }

  private static JsonObject parse(String body) {
    try {
      return JsonObject.parse(BODY, body);
    } catch (UserException e) {
      // That advice is for files.
      throw ApiException.invalid(
          null, "invalid_json", withoutSource(e).replaceFirst("; restore the file.*", ""));
    }
  }

  /** Messages of files name the file; here that is the body, or one of its fields. */
  private static String withoutSource(UserException e) {
    return String.valueOf(e.getMessage())
        .replaceFirst("^body: (?=is |can't |has )", "the body ")
        .replaceFirst("^body: ", "");
  }

  private Read read(JsonObject json) {
    for (String key : json.values().keySet()) {
      if (!KNOWN.contains(key) && !IGNORED.contains(key)) {
        String shown = key.replaceAll("[^\\w.-]", "?");
        throw ApiException.invalid(
            shown.length() > 40 ? shown.substring(0, 40) : shown,
            "unknown_parameter",
            "an unknown parameter; known: " + String.join(", ", KNOWN.stream().sorted().toList()));
      }
    }
    requireModel(json);
    String prompt = prompt(json);
    int count = whole(json, "n", 1, 1, options.maxImages());
    PictureSizes.Size size = size(json);
    SamplingOptions sampling = sampling(json);
    Optional<String> negative =
        json.optionalText("negative_prompt").filter(text -> !text.isBlank());
    negative.ifPresent(text -> requireShort("negative_prompt", text));
    long seed = seed(json);
    List<PictureRequest> pictures = new ArrayList<>();
    for (long own : ImageSeeds.all(seed, count)) {
      pictures.add(new PictureRequest(prompt, negative, own, sampling));
    }
    boolean stream = json.flag("stream", false);
    int partials = whole(json, "partial_images", 0, 0, 64);
    Form form = form(json, size, sampling);
    if (count > scheduler.limits().waiting()) {
      throw ApiException.invalid(
          "n",
          "n is %d; the queue takes at most %d".formatted(count, scheduler.limits().waiting()));
    }
    return new Read(new Job(form, pictures, partials, encoding(json)), stream, size);
  }

  private void requireModel(JsonObject json) {
    Optional<String> named = json.optionalText("model");
    if (named.isPresent() && !named.get().equals(model.id())) {
      throw ApiException.of(
          404, "model_not_found", "this server has the model '%s' only".formatted(model.id()));
    }
    String format = json.optionalText("response_format").orElse("b64_json");
    if (!format.equals("b64_json")) {
      throw ApiException.invalid(
          "response_format", "pictures are sent as b64_json only; leave response_format out");
    }
  }

  private String prompt(JsonObject json) {
    Object named = json.values().get("class");
    if (named != null && json.has("prompt")) {
      throw ApiException.invalid("class", "both prompt and class are given; leave out one of them");
    }
    String prompt =
        switch (named) {
          case null -> json.optionalText("prompt").orElse("");
          case String text -> text;
          case Double index when index == Math.rint(index) -> String.valueOf(index.longValue());
          default ->
              throw ApiException.invalid("class", "class is none; expected a name or an index");
        };
    if (prompt.isBlank()) {
      throw ApiException.invalid(
          "prompt", "the prompt is missing or blank; expected a text that says what to draw");
    }
    requireShort("prompt", prompt);
    try {
      model.requirePrompt(prompt);
    } catch (UserException e) {
      throw ApiException.invalid("prompt", String.valueOf(e.getMessage()));
    }
    return prompt;
  }

  private void requireShort(String name, String text) {
    if (text.length() > options.maxPrompt()) {
      throw ApiException.invalid(
          name,
          "string_above_max_length",
          "%s has %d characters; expected at most %d"
              .formatted(name, text.length(), options.maxPrompt()));
    }
    if (text.codePoints().anyMatch(c -> c == 0 || (c >= 0xD800 && c <= 0xDFFF))) {
      throw ApiException.invalid(name, name + " holds a NUL or half a surrogate pair; remove it");
    }
  }

  private PictureSizes.Size size(JsonObject json) {
    String text = json.optionalText("size").orElse("auto");
    try {
      return sizes.nearest(text);
    } catch (UserException e) {
      throw ApiException.invalid("size", String.valueOf(e.getMessage()));
    }
  }

  private SamplingOptions sampling(JsonObject json) {
    SamplingOptions own = model.sampling();
    return json.has("guidance_scale") ? own.withCfg(json.number("guidance_scale")) : own;
  }

  /** A number, or its digits: JavaScript has no such large numbers. */
  private static long seed(JsonObject json) {
    Object seed = json.values().get("seed");
    return switch (seed) {
      case null -> ThreadLocalRandom.current().nextLong(1L << 32);
      case Double number when number >= 0 && number <= 1L << 53 && number == Math.rint(number) ->
          number.longValue();
      case Long number when number >= 0 -> number;
      case String digits when digits.matches("\\d{1,18}") -> Long.parseLong(digits);
      default ->
          throw ApiException.invalid(
              "seed", "seed is none; expected a whole number, 0 or more, or a text of its digits");
    };
  }

  private static int whole(JsonObject json, String key, int otherwise, int least, int most) {
    if (!json.has(key)) {
      return otherwise;
    }
    double value = json.number(key);
    if (value != Math.rint(value) || value < least || value > most) {
      throw ApiException.invalid(
          key,
          "%s is out of range; expected a whole number from %d to %d".formatted(key, least, most));
    }
    return (int) value;
  }

  private static Encoding encoding(JsonObject json) {
    String format = json.optionalText("output_format").orElse("png");
    return switch (format) {
      case "png" -> new Encoding.OfPng();
      case "jpeg" -> new Encoding.OfJpeg(whole(json, "output_compression", 100, 0, 100));
      default ->
          throw ApiException.invalid(
              "output_format", "the format is unknown; expected png or jpeg");
    };
  }

  private Form form(JsonObject json, PictureSizes.Size size, SamplingOptions sampling) {
    Object asked = json.values().get("kv_budget");
    Optional<String> budget =
        switch (asked) {
          case null -> Optional.empty();
          case String text when text.length() <= 32 -> Optional.of(text);
          case Number number -> Optional.of(number.toString());
          default ->
              throw ApiException.invalid(
                  "kv_budget", "kv_budget is none; expected a ratio such as 0.1, or a size");
        };
    Optional<String> asBudgeted = budget.or(options::budget);
    String policy =
        json.optionalText("policy")
            .orElseGet(() ->
                budget.isPresent()
                    ? budgeted()
                    : asBudgeted.isPresent() ? options.policy() : CachePolicy.FULL.name());
    if (asBudgeted.isEmpty() && !isWhole(policy)) {
      throw ApiException.invalid(
          "kv_budget", "policy %s needs a kv_budget such as 0.1".formatted(policy));
    }
    String allowed = isWhole(policy) ? budget.orElse(WHOLE) : asBudgeted.orElseThrow();
    Form form = make(size, policy, allowed, sampling);
    if (!scheduler.fits(form)) {
      throw ApiException.invalid(
          "size", "exceeds_capacity", tooLarge(form, size, policy, allowed, sampling));
    }
    return form;
  }

  /** The policy of a request with a budget that names none. */
  private String budgeted() {
    return isWhole(options.policy()) ? Allocation.DEFAULT.policy() : options.policy();
  }

  /** Whether a policy keeps all tokens, which needs no budget. */
  private static boolean isWhole(String policy) {
    return CachePolicies.whole(policy).isPresent();
  }

  private Form make(
      PictureSizes.Size size, String policy, String budget, SamplingOptions sampling) {
    try {
      return forms.of(size.grids(), policy, budget, sampling);
    } catch (UserException e) {
      if (size.equals(sizes.all().getFirst())) {
        throw ApiException.invalid("policy", String.valueOf(e.getMessage()));
      }
      String others =
          String.join(
              ", ",
              sizes.all().stream()
                  .filter(other -> canBeHad(other, policy, budget, sampling))
                  .map(PictureSizes.Size::toString)
                  .toList());
      throw ApiException.invalid(
          "size",
          "size %s with policy %s: %s. Sizes that can be had so: %s"
              .formatted(size, policy, e.getMessage(), others.isEmpty() ? "none" : others));
    }
  }

  /**
   * The usual policy that takes a budget, for the model's own scales.
   *
   * @throws ApiException if it can't be had
   */
  CachePolicy policy(String budget) {
    return make(sizes.all().getFirst(), budgeted(), budget, model.sampling()).policy();
  }

  private boolean canBeHad(
      PictureSizes.Size size, String policy, String budget, SamplingOptions sampling) {
    try {
      Form _ = forms.of(size.grids(), policy, budget, sampling);
      return true;
    } catch (UserException _) {
      return false;
    }
  }

  /** What would fit instead, so that nobody has to try. */
  private String tooLarge(
      Form form, PictureSizes.Size size, String policy, String budget, SamplingOptions sampling) {
    Limits limits = scheduler.limits();
    StringBuilder text =
        new StringBuilder(
            "a picture of %s takes %s for keys and values and %s in all; there are %s and %s. "
                .formatted(
                    size,
                    mib(form.need(1).cache()),
                    mib(form.need(1).total()),
                    mib(limits.kvBytes()),
                    mib(limits.bytes())));
    Optional<PictureSizes.Size> smaller =
        sizes.all().stream()
            .filter(other -> canBeHad(other, policy, budget, sampling))
            .filter(other -> scheduler.fits(forms.of(other.grids(), policy, budget, sampling)))
            .max(Comparator.comparingLong(other -> (long) other.width() * other.height()));
    Optional<String> less = fittingBudget(form, size, policy, sampling);
    if (smaller.isEmpty() && less.isEmpty()) {
      return text.append("No size and no budget would fit").toString();
    }
    text.append("Largest that fit, with n up to ").append(options.maxImages());
    smaller.ifPresent(other -> text.append(": size ").append(other));
    less.ifPresent(ratio -> text.append(": kv_budget ").append(ratio));
    return text.toString();
  }

  /** The largest budget, in thousandths, under which the size fits. */
  private Optional<String> fittingBudget(
      Form form, PictureSizes.Size size, String policy, SamplingOptions sampling) {
    Limits limits = scheduler.limits();
    long full =
        model
            .model()
            .kvShape(
                1,
                new GenerationRequest(
                        List.of(new PictureRequest(model.samplePrompt(), 0, sampling)),
                        form.grids(),
                        form.policy())
                    .rowsPerPicture(),
                form.grids())
            .fullBytes();
    String name = isWhole(policy) ? Allocation.DEFAULT.policy() : policy;
    long room = Math.min(limits.kvBytes(), limits.bytes() - form.need(1).scratch());
    for (int most = (int) Math.min(1000, 1000.0 * room / full); most > 0; most--) {
      String budget = String.format(Locale.ROOT, "%.3f", most / 1e3);
      if (canBeHad(size, name, budget, sampling)
          && scheduler.fits(forms.of(size.grids(), name, budget, sampling))) {
        return Optional.of(budget);
      }
      // What scratch takes besides depends on the budget a little.
      if (most < 1000.0 * room / full - 20) {
        break;
      }
    }
    return Optional.empty();
  }

  private static String mib(long bytes) {
    return bytes > 1L << 50
        ? "no limit"
        : String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0);
  }
}
