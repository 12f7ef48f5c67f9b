package io.heatkv.langchain4j;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.batch.BatchPage;
import dev.langchain4j.model.batch.BatchPagination;
import dev.langchain4j.model.batch.BatchRequest;
import dev.langchain4j.model.batch.BatchResponse;
import dev.langchain4j.model.image.BatchImageModel;
import dev.langchain4j.model.image.ImageModel;
import dev.langchain4j.model.output.Response;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.OpenOptions;
import io.heatkv.Picture;
import io.heatkv.PictureOptions;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelSource;
import io.heatkv.tensor.Device;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A model whose pictures are drawn in this process, as PNG.
 *
 * <pre>{@code
 * try (HeatKvImageModel model = HeatKvImageModel.builder().kvBudget("10%").build()) {
 *   Image image = model.generate("a red apple with a green leaf").content();
 * }
 * }</pre>
 *
 * <p>Any number of threads may ask; one pass is drawn at a time, so that memory doesn't grow with
 * their number. A request that can't be drawn throws an {@link InvalidRequestException} with one
 * line that names what is wrong. The metadata of a response has {@code model}, {@code width},
 * {@code height}, {@code seeds} (each draws its picture alone), {@code policy}, {@code kv_bytes},
 * {@code full_kv_bytes} and {@code seconds}, and {@code warnings} if there are any.
 */
public final class HeatKvImageModel implements ImageModel, BatchImageModel, AutoCloseable {
  private static final String TYPE = "image/png";

  private final ImageGenerator generator;
  private final PictureOptions options;
  private final ReentrantLock device = new ReentrantLock(true);
  private final Batches batches = new Batches(this::draw);
  private volatile boolean closed;

  private HeatKvImageModel(ImageGenerator generator, PictureOptions options) {
    this.generator = generator;
    this.options = options;
  }

  /** A builder of a model; all that isn't set is as {@link PictureOptions#DEFAULT} has it. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Draws a picture.
   *
   * @throws InvalidRequestException if the prompt is blank, or means nothing to the model
   */
  @Override
  public Response<Image> generate(String prompt) {
    return draw(prompt, GenerationListener.NONE);
  }

  /**
   * Draws pictures in one pass.
   *
   * @param n pictures; their seeds follow from the first one's
   * @throws InvalidRequestException as above, or if there is less than one
   */
  @Override
  public Response<List<Image>> generate(String prompt, int n) {
    GenerationResult result = result(prompt, n, GenerationListener.NONE);
    return response(result.images().stream().map(HeatKvImageModel::image).toList(), result);
  }

  /** Begins to draw the pictures of all prompts, each as {@link #generate(String)} draws it. */
  @Override
  public BatchResponse<Response<Image>> submit(BatchRequest<String> request) {
    requireOpen();
    return batches.submit(request.requests());
  }

  @Override
  public BatchResponse<Response<Image>> retrieve(String batchId) {
    return batches.retrieve(batchId);
  }

  /** Ends a batch at the next scale of the picture at hand. */
  @Override
  public void cancel(String batchId) {
    batches.cancel(batchId);
  }

  /** Batches that are kept, the newest first: all that haven't ended, and the last 100 others. */
  @Override
  public BatchPage<Response<Image>> list(@Nullable BatchPagination pagination) {
    return batches.list(pagination);
  }

  private Response<Image> draw(String prompt, GenerationListener listener) {
    GenerationResult result = result(prompt, 1, listener);
    return response(image(result.images().getFirst()), result);
  }

  private GenerationResult result(String prompt, int n, GenerationListener listener) {
    device.lock();
    try {
      requireOpen();
      return generator.generate(generator.request(options, n, prompt), listener);
    } catch (UserException e) {
      throw new InvalidRequestException(e.getMessage(), e);
    } finally {
      device.unlock();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
  }

  private static Image image(Picture picture) {
    return Image.builder()
        .base64Data(Base64.getEncoder().encodeToString(picture.png()))
        .mimeType(TYPE)
        .build();
  }

  private <T> Response<T> response(T content, GenerationResult result) {
    Picture first = result.images().getFirst();
    Map<String, Object> metadata = new LinkedHashMap<>();
    metadata.put("model", generator.description().name());
    metadata.put("width", first.pixels().width());
    metadata.put("height", first.pixels().height());
    metadata.put(
        "seeds", result.images().stream().map(picture -> picture.request().seed()).toList());
    metadata.put("policy", options.policyName());
    metadata.put("kv_bytes", result.kv().storage());
    metadata.put("full_kv_bytes", result.fullKvBytes());
    metadata.put("seconds", result.timings().total() / 1e3);
    if (!result.warnings().isEmpty()) {
      metadata.put("warnings", result.warnings());
    }
    return new Response<>(content, null, null, metadata);
  }

  /** Ends all batches and frees the model, after the pass at hand. */
  @Override
  public void close() {
    closed = true;
    batches.close();
    device.lock();
    try {
      generator.close();
    } finally {
      device.unlock();
    }
  }

  /** Sets what a model draws with. */
  public static final class Builder {
    private String model = ModelSource.EMBEDDED;
    private OpenOptions opening = OpenOptions.on(Device.CPU);
    private PictureOptions options = PictureOptions.DEFAULT;

    private Builder() {}

    /** {@code emoji}, which is the default, a folder with a model's files, or a transformer's. */
    public Builder model(String name) {
      model = name;
      return this;
    }

    /**
     * Where it computes: {@code cpu}, which is the default, {@code cuda} or {@code cuda:N}.
     *
     * @throws UserException if it is none of them
     */
    public Builder device(String name) {
      opening =
          new OpenOptions(
              Device.parse(name), opening.dtype(), opening.libtorch(), opening.threads());
      return this;
    }

    /** Where and how it computes, in full. */
    public Builder opening(OpenOptions given) {
      opening = given;
      return this;
    }

    /** Seed of the first picture of each request; without one, one by chance. */
    public Builder seed(long seed) {
      options = options.withSeed(seed);
      return this;
    }

    /** Size such as {@code 256x256}; the nearest that the model draws is taken. */
    public Builder size(String size) {
      options = options.withSize(size);
      return this;
    }

    /** Budget of the KV cache, a ratio such as {@code 10%} or a size such as {@code 4MiB}. */
    public Builder kvBudget(String budget) {
      options = options.withBudget(budget);
      return this;
    }

    /** Cache policy; with a budget heatkv is the default. */
    public Builder policy(String name) {
      options = options.withPolicy(name);
      return this;
    }

    /**
     * Opens the model.
     *
     * @throws UserException if there is none, libtorch can't be opened, or the size, policy or
     *     budget can't be had
     */
    public HeatKvImageModel build() {
      ImageGenerator generator = ImageGenerator.open(model, opening);
      try {
        generator.require(options);
        return new HeatKvImageModel(generator, options);
      } catch (RuntimeException | Error e) {
        generator.close();
        throw e;
      }
    }
  }
}
