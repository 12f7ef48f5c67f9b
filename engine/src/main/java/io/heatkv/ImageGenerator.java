package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.FirstPass;
import io.heatkv.family.NextScaleModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.load.ModelSource;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.resource.CacheFolder;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Draws pictures: the networks of one model on one device.
 *
 * <pre>{@code
 * try (ImageGenerator generator = ImageGenerator.open("emoji")) {
 *   generator.draw("a red apple with a green leaf", "10%").save(Path.of("apple.png"));
 * }
 * }</pre>
 *
 * <p>Any number of threads, platform or virtual, may draw at once with one model or several. They
 * get the pictures that they would get alone; where operators would disturb each other, they wait
 * in line, see {@link Backend}. The model is closed after the last generation.
 */
public final class ImageGenerator implements AutoCloseable {
  private static final int KEPT = 32;
  // Short enough for any reader of JSON.
  private static final long SEEDS = 1L << 32;

  private final ModelDescription description;
  private final boolean owned;
  private final NextScaleModel model;
  // Planning takes longer than asking, and a program may name any number of budgets.
  private final Map<Planned, CachePolicy> planned =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Planned, CachePolicy> eldest) {
          return size() > KEPT;
        }
      };

  private record Planned(String policy, String budget, ScaleGrids grids) {}

  /**
   * Opens a model on the CPU.
   *
   * @param model {@code emoji}, which comes along, a folder with a model's files, or the file of a
   *     transformer
   * @throws UserException if there is none, or its files are damaged or don't fit each other
   */
  public static ImageGenerator open(String model) {
    return open(model, OpenOptions.on(Device.CPU));
  }

  /**
   * Opens a model.
   *
   * @throws UserException as above, or if libtorch can't be opened or lacks the device
   */
  public static ImageGenerator open(String model, OpenOptions options) {
    ModelDescription description = ModelSource.find(model);
    try {
      Device device = options.device();
      LibTorch library =
          LibTorch.open(
              LibTorchLocation.find(options.libtorch().orElse(null), CacheFolder.locate()),
              options.threads());
      library.require(device);
      DType dtype = options.dtype().orElseGet(() -> description.computeType(device));
      return new ImageGenerator(description, true, library, device, dtype, Optional.empty());
    } catch (RuntimeException | Error e) {
      description.close();
      throw e;
    }
  }

  /**
   * Loads a model that was found, with a library that is open. The description stays the caller's,
   * who closes it after this.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file is missing, damaged, or belongs to another model
   */
  public ImageGenerator(ModelDescription description, Backend backend, Device device, DType dtype) {
    this(description, false, backend, device, dtype, Optional.empty());
  }

  ImageGenerator(
      ModelDescription description,
      Backend backend,
      Device device,
      DType dtype,
      Optional<FirstPass> first) {
    this(description, false, backend, device, dtype, first);
  }

  private ImageGenerator(
      ModelDescription description,
      boolean owned,
      Backend backend,
      Device device,
      DType dtype,
      Optional<FirstPass> first) {
    this.description = description;
    this.owned = owned;
    model = description.load(backend, device, dtype, first);
  }

  public ModelDescription description() {
    return description;
  }

  /** Tells this transformer's weights apart from others'. */
  public String fingerprint() {
    return description.fingerprint();
  }

  /** The networks, for calibration and comparison. */
  public NextScaleModel model() {
    return model;
  }

  /** Sizes of the cache that a request needs. */
  public KvShape kvShape(GenerationRequest request) {
    return model.kvShape(request.images(), request.rowsPerPicture(), request.grids());
  }

  /**
   * A picture of each prompt over the model's own scales, sampled as the model has it, with the
   * full cache. Its seed is 0 until {@link GenerationRequest#withSeed} says otherwise, so that a
   * program draws the same pictures each time.
   *
   * @throws UserException if there is no prompt, or a blank one
   */
  public GenerationRequest request(String... prompts) {
    return GenerationRequest.of(
        List.of(prompts),
        Optional.empty(),
        1,
        0,
        description.grids(),
        description.sampling(),
        CachePolicy.FULL);
  }

  /**
   * Pictures of each prompt as options say. Policies are made once.
   *
   * @param count pictures of each prompt
   * @throws UserException if a prompt is blank, or the size, policy or budget can't be had
   */
  public GenerationRequest request(PictureOptions options, int count, String... prompts) {
    for (String prompt : prompts) {
      description.requirePrompt(prompt);
    }
    ScaleGrids grids = sizes().nearest(options.size()).grids();
    CachePolicy policy = policy(options, grids);
    return GenerationRequest.of(
        List.of(prompts),
        Optional.empty(),
        count,
        options.seed().orElseGet(() -> ThreadLocalRandom.current().nextLong(SEEDS)),
        grids,
        description.sampling(),
        policy);
  }

  /**
   * @throws UserException if the size, policy or budget of options can't be had
   */
  public void require(PictureOptions options) {
    CachePolicy _ = policy(options, sizes().nearest(options.size()).grids());
  }

  private CachePolicy policy(PictureOptions options, ScaleGrids grids) {
    synchronized (planned) {
      return planned.computeIfAbsent(
          new Planned(options.policyName(), options.policyBudget(), grids),
          key -> policy(key.policy, key.budget, key.grids));
    }
  }

  /** The sizes that the model draws. */
  public PictureSizes sizes() {
    return new PictureSizes(model, description.offeredGrids(), description.pixelsPerToken());
  }

  /**
   * HeatKV under a budget, for the model's own scales. It is made from the calibration profile that
   * lies beside the model, and serves any number of requests.
   *
   * @param budget a ratio of the full cache such as {@code 0.1} or {@code 10%}, or a size such as
   *     {@code 4MiB} for one picture with guidance
   * @throws UserException if it can't be read or is infeasible, or the model has no profile
   */
  public CachePolicy policy(String budget) {
    return policy(Allocation.DEFAULT.policy(), budget, description.grids());
  }

  /**
   * A policy under a budget, see {@link CachePolicies}.
   *
   * @param grids grids that are to be drawn
   * @throws UserException as above, or if there is no policy of that name
   */
  public CachePolicy policy(String name, String budget, ScaleGrids grids) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            Budget.parse(budget),
            model.kvShape(1, 2, grids),
            Optional.empty(),
            () -> ModelProfile.find(description, grids, Optional.empty())));
  }

  /**
   * Draws a picture as {@link #request} has it.
   *
   * @throws UserException if the prompt is blank
   */
  public Picture draw(String prompt) {
    return generate(request(prompt)).images().getFirst();
  }

  /**
   * Draws a picture under a budget of the cache, see {@link #policy(String)}; for many pictures
   * make the policy once.
   *
   * @throws UserException if the prompt is blank, or the budget can't be had
   */
  public Picture draw(String prompt, String budget) {
    return draw(prompt, budget, 0);
  }

  /** As above with a seed: another one draws another picture. */
  public Picture draw(String prompt, String budget, long seed) {
    return generate(request(prompt).withSeed(seed).with(policy(budget))).images().getFirst();
  }

  /**
   * Encodes a request's prompts and allocates its cache; nothing is drawn yet.
   *
   * @throws UserException if the request doesn't fit the model
   */
  public Generation open(GenerationRequest request) {
    return Generation.open(model, request);
  }

  /**
   * Draws the pictures of a request in one pass.
   *
   * @throws UserException if the request doesn't fit the model
   */
  public GenerationResult generate(GenerationRequest request) {
    return generate(request, GenerationListener.NONE);
  }

  /**
   * As above, followed by a listener.
   *
   * @throws CancellationException if the listener ended it
   * @throws UserException if the request doesn't fit the model
   */
  public GenerationResult generate(GenerationRequest request, GenerationListener listener) {
    try (Generation generation = open(request)) {
      return generation.run(listener);
    }
  }

  @Override
  public void close() {
    model.close();
    if (owned) {
      description.close();
    }
  }
}
