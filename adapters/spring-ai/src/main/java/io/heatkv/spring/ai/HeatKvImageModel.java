package io.heatkv.spring.ai;

import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.Picture;
import io.heatkv.PictureOptions;
import io.heatkv.error.UserException;
import io.micrometer.observation.ObservationRegistry;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.image.Image;
import org.springframework.ai.image.ImageGeneration;
import org.springframework.ai.image.ImageModel;
import org.springframework.ai.image.ImageOptions;
import org.springframework.ai.image.ImagePrompt;
import org.springframework.ai.image.ImageResponse;
import org.springframework.ai.image.ImageResponseMetadata;
import org.springframework.ai.image.observation.DefaultImageModelObservationConvention;
import org.springframework.ai.image.observation.ImageModelObservationContext;
import org.springframework.ai.image.observation.ImageModelObservationConvention;
import org.springframework.ai.image.observation.ImageModelObservationDocumentation;

/**
 * A model whose pictures are drawn in this process, as PNG in {@code b64_json}.
 *
 * <p>Any number of threads may ask; one pass is drawn at a time, so that memory doesn't grow with
 * their number. The metadata of a response has {@code policy}, {@code kv_bytes}, {@code
 * full_kv_bytes} and {@code seconds}, and {@code warnings} if there are any; that of a picture is
 * {@link HeatKvImageMetadata}.
 */
public final class HeatKvImageModel implements ImageModel {
  /** Name of the provider in observations. */
  public static final String PROVIDER = "heatkv";

  private static final ImageModelObservationConvention CONVENTION =
      new DefaultImageModelObservationConvention();

  private final ImageGenerator generator;
  private final HeatKvImageOptions options;
  private final ObservationRegistry registry;
  private final ImageModelObservationConvention convention;
  private final ReentrantLock device = new ReentrantLock(true);
  private volatile @Nullable Throwable failure;

  /** A model that isn't observed, see below. */
  public HeatKvImageModel(ImageGenerator generator, HeatKvImageOptions options) {
    this(generator, options, ObservationRegistry.NOOP, CONVENTION);
  }

  /**
   * A model.
   *
   * @param generator stays the caller's, who closes it after this
   * @param options of prompts that say nothing else
   * @param convention of observations
   * @throws UserException if the size, policy or budget can't be had
   */
  public HeatKvImageModel(
      ImageGenerator generator,
      HeatKvImageOptions options,
      ObservationRegistry registry,
      ImageModelObservationConvention convention) {
    this.generator = generator;
    String name = generator.description().name();
    this.options =
        new HeatKvImageOptions(1, name, null, null, null, null, null).overriddenBy(options);
    this.registry = registry;
    this.convention = convention;
    requireModel(this.options);
    generator.require(this.options.toPictureOptions());
  }

  /** What prompts get that say nothing else. */
  public HeatKvImageOptions options() {
    return options;
  }

  /** Why the last pass failed; none if it was drawn. */
  public Optional<Throwable> failure() {
    return Optional.ofNullable(failure);
  }

  /**
   * Draws the pictures of a prompt in one pass.
   *
   * @throws UserException with one line that names what is wrong with the prompt or its options
   */
  @Override
  public ImageResponse call(ImagePrompt prompt) {
    HeatKvImageOptions asked = options.overriddenBy(prompt.getOptions());
    requireModel(asked);
    requireFormat(prompt.getOptions());
    if (prompt.getInstructions().size() != 1) {
      throw new UserException(
          "the prompt has %d messages; expected one".formatted(prompt.getInstructions().size()));
    }
    String text = prompt.getInstructions().getFirst().getText();
    ImageModelObservationContext context =
        ImageModelObservationContext.builder()
            .imagePrompt(new ImagePrompt(prompt.getInstructions(), asked))
            .provider(PROVIDER)
            .build();
    return Objects.requireNonNull(
        ImageModelObservationDocumentation.IMAGE_MODEL_OPERATION
            .observation(convention, CONVENTION, () -> context, registry)
            .observe(() -> {
              ImageResponse response = draw(text == null ? "" : text, asked);
              context.setResponse(response);
              return response;
            }));
  }

  private void requireModel(HeatKvImageOptions asked) {
    String name = generator.description().name();
    if (!name.equals(asked.model())) {
      throw new UserException(
          "model '%s' isn't here; this one is '%s'".formatted(asked.model(), name));
    }
  }

  private static void requireFormat(@Nullable ImageOptions given) {
    String format = given == null ? null : given.getResponseFormat();
    if (format != null && !format.equals(HeatKvImageOptions.FORMAT)) {
      throw new UserException(
          "response format '%s' can't be had; expected %s"
              .formatted(format, HeatKvImageOptions.FORMAT));
    }
  }

  private ImageResponse draw(String text, HeatKvImageOptions asked) {
    PictureOptions words = asked.toPictureOptions();
    device.lock();
    try {
      int count = Objects.requireNonNullElse(asked.n(), 1);
      GenerationResult result = generator.generate(generator.request(words, count, text));
      failure = null;
      return response(result, words.policyName());
    } catch (UserException e) {
      throw e;
    } catch (RuntimeException e) {
      failure = e;
      throw e;
    } finally {
      device.unlock();
    }
  }

  private static ImageResponse response(GenerationResult result, String policy) {
    List<ImageGeneration> pictures =
        result.images().stream().map(HeatKvImageModel::generation).toList();
    ImageResponseMetadata metadata = new ImageResponseMetadata();
    metadata.put("policy", policy);
    metadata.put("kv_bytes", result.kv().storage());
    metadata.put("full_kv_bytes", result.fullKvBytes());
    metadata.put("seconds", result.timings().total() / 1e3);
    if (!result.warnings().isEmpty()) {
      metadata.put("warnings", result.warnings());
    }
    return new ImageResponse(pictures, metadata);
  }

  private static ImageGeneration generation(Picture picture) {
    return new ImageGeneration(
        new Image(null, Base64.getEncoder().encodeToString(picture.png())),
        new HeatKvImageMetadata(
            picture.request().seed(), picture.pixels().width(), picture.pixels().height()));
  }
}
