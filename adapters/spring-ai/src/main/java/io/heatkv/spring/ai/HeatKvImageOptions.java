package io.heatkv.spring.ai;

import io.heatkv.PictureOptions;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.image.ImageOptions;

/**
 * What a prompt asks for besides its text. What is null is as the model's own options have it.
 *
 * @param n pictures, drawn in one pass
 * @param model name; a model draws with itself only
 * @param width in pixels, together with the height; the nearest size that the model draws is taken
 * @param height in pixels
 * @param seed of the first picture; without one, one by chance
 * @param policy name of a cache policy; with a budget heatkv is the default
 * @param kvBudget of the policy, a ratio such as {@code 10%} or a size such as {@code 4MiB}
 */
public record HeatKvImageOptions(
    @Nullable Integer n,
    @Nullable String model,
    @Nullable Integer width,
    @Nullable Integer height,
    @Nullable Long seed,
    @Nullable String policy,
    @Nullable String kvBudget)
    implements ImageOptions {
  /** All that a model has by itself. */
  public static final HeatKvImageOptions DEFAULT =
      new HeatKvImageOptions(null, null, null, null, null, null, null);

  static final String FORMAT = "b64_json";

  /** The same for a number of pictures. */
  public HeatKvImageOptions withN(int other) {
    return new HeatKvImageOptions(other, model, width, height, seed, policy, kvBudget);
  }

  /** The same for another size. */
  public HeatKvImageOptions withSize(int otherWidth, int otherHeight) {
    return new HeatKvImageOptions(n, model, otherWidth, otherHeight, seed, policy, kvBudget);
  }

  /** The same with a seed. */
  public HeatKvImageOptions withSeed(long other) {
    return new HeatKvImageOptions(n, model, width, height, other, policy, kvBudget);
  }

  /** The same with another policy. */
  public HeatKvImageOptions withPolicy(String other) {
    return new HeatKvImageOptions(n, model, width, height, seed, other, kvBudget);
  }

  /** The same with another budget. */
  public HeatKvImageOptions withKvBudget(String other) {
    return new HeatKvImageOptions(n, model, width, height, seed, policy, other);
  }

  /** What a prompt's options say, of any provider, and else these. */
  HeatKvImageOptions overriddenBy(@Nullable ImageOptions other) {
    if (other == null) {
      return this;
    }
    HeatKvImageOptions own = other instanceof HeatKvImageOptions options ? options : DEFAULT;
    boolean isSized = other.getWidth() != null || other.getHeight() != null;
    // A policy and its budget belong together: one of them alone would meet the other's default.
    boolean isBudgeted = own.policy != null || own.kvBudget != null;
    return new HeatKvImageOptions(
        other.getN() != null ? other.getN() : n,
        other.getModel() != null ? other.getModel() : model,
        isSized ? other.getWidth() : width,
        isSized ? other.getHeight() : height,
        own.seed != null ? own.seed : seed,
        isBudgeted ? own.policy : policy,
        isBudgeted ? own.kvBudget : kvBudget);
  }

  /** In the engine's words. */
  PictureOptions toPictureOptions() {
    PictureOptions options = PictureOptions.DEFAULT;
    if (width != null || height != null) {
      options = options.withSize(width + "x" + height);
    }
    if (seed != null) {
      options = options.withSeed(seed);
    }
    if (policy != null) {
      options = options.withPolicy(policy);
    }
    return kvBudget != null ? options.withBudget(kvBudget) : options;
  }

  @Override
  public @Nullable Integer getN() {
    return n;
  }

  @Override
  public @Nullable String getModel() {
    return model;
  }

  @Override
  public @Nullable Integer getWidth() {
    return width;
  }

  @Override
  public @Nullable Integer getHeight() {
    return height;
  }

  /** Pictures come as {@code b64_json}. */
  @Override
  public String getResponseFormat() {
    return FORMAT;
  }

  /** There are no styles but the prompt's words. */
  @Override
  public @Nullable String getStyle() {
    return null;
  }
}
