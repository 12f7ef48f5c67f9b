package io.heatkv.server;

import io.heatkv.Calibrator;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonValue;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Budget;
import io.heatkv.server.core.ServedModel;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import io.heatkv.testkit.TestDevice;
import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** The smallest model as a server offers it; a test can hold it at its door and let it fail. */
public final class ToyServedModel implements ServedModel, AutoCloseable {
  /** A pass enters with a permit. */
  public final Semaphore door = new Semaphore(Integer.MAX_VALUE / 2);

  /** Passes that are still to fail. */
  public final AtomicInteger failures = new AtomicInteger();

  private final ModelDescription description;
  private final ImageGenerator generator;
  private final NextScaleModel toy;
  private final List<Guarded> guarded;
  private final CalibrationProfile profile;

  /**
   * Writes the model, loads and calibrates it.
   *
   * @param folder an empty one
   */
  public ToyServedModel(Path folder) {
    this(folder, 1);
  }

  /**
   * As above.
   *
   * @param devices as many times the CPU
   */
  public ToyServedModel(Path folder, int devices) {
    ToyFiles.write(folder, new ToyConfig(2), 1);
    description = ModelSource.find(folder.toString());
    generator =
        new ImageGenerator(description, TestDevice.backend(), TestDevice.device(), DType.F32);
    toy = generator.model();
    guarded = Stream.generate(Guarded::new).limit(devices).toList();
    profile =
        new Calibrator(generator, grids(), sampling(), 1, 1)
            .calibrate(
                List.of("circle", "cross"),
                folder.resolve("toy.heatkv.json"),
                new Calibrator.Listener() {
                  @Override
                  public void promptDone(int done, int count) {}

                  @Override
                  public boolean isCancelled() {
                    return false;
                  }
                });
  }

  /** Lets one device fail in its next passes. */
  public void fail(int device, int passes) {
    guarded.get(device).failures.set(passes);
  }

  /** Lets no pass begin until {@link #open}. */
  public void shut() {
    door.drainPermits();
  }

  public boolean isShut() {
    return door.availablePermits() == 0;
  }

  public void open() {
    door.release(Integer.MAX_VALUE / 4);
  }

  @Override
  public String id() {
    return "toy";
  }

  @Override
  public List<NextScaleModel> models() {
    return List.copyOf(guarded);
  }

  /** Without the door. */
  public NextScaleModel plain() {
    return toy;
  }

  @Override
  public ScaleGrids grids() {
    return ToyConfig.SCALES;
  }

  @Override
  public List<ScaleGrids> offeredGrids() {
    return List.of(grids());
  }

  @Override
  public SamplingOptions sampling() {
    return SamplingOptions.of(2, 1, 1);
  }

  @Override
  public int pixelsPerToken() {
    return 4;
  }

  @Override
  public void requirePrompt(String prompt) {}

  @Override
  public String samplePrompt() {
    return "circle";
  }

  @Override
  public CachePolicy policy(String name, String budget, ScaleGrids grids) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            Budget.parse(budget), toy.kvShape(1, 2, grids), Optional.empty(), () -> profile));
  }

  @Override
  public MemoryNeed need(GenerationRequest request) {
    KvShape shape = toy.kvShape(request.images(), request.rowsPerPicture(), request.grids());
    return new MemoryNeed(0, request.policy().plan(shape).bytes(), 1000L + 500L * request.images());
  }

  @Override
  public long decodingBytes(ScaleSize grid) {
    return grid.tokens();
  }

  @Override
  public Optional<CalibrationProfile> profile() {
    return Optional.of(profile);
  }

  @Override
  public List<PngText> texts(GenerationRequest request, int picture, int width, int height) {
    PictureRequest drawn = request.pictures().get(picture);
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("prompt", drawn.prompt());
    settings.put("seed", drawn.seed());
    settings.put("width", width);
    settings.put("height", height);
    settings.put("model", id());
    settings.put("cache", request.policy().name());
    settings.put("kv_budget", request.policy().budget());
    return List.of(PngText.heatkv(JsonValue.line(settings)));
  }

  @Override
  public void close() {
    generator.close();
    description.close();
  }

  private final class Guarded implements NextScaleModel {
    private final AtomicInteger failures = new AtomicInteger();

    @Override
    public Backend backend() {
      return toy.backend();
    }

    @Override
    public Device device() {
      return toy.device();
    }

    @Override
    public DType dtype() {
      return toy.dtype();
    }

    @Override
    public KvShape kvShape(int pictures, int rowsPerPicture, ScaleGrids grids) {
      return toy.kvShape(pictures, rowsPerPicture, grids);
    }

    @Override
    public void requireDrawable(ScaleGrids grids) {
      toy.requireDrawable(grids);
    }

    @Override
    public Conditioning encode(List<PictureRequest> pictures, boolean guided) {
      door.acquireUninterruptibly();
      if (isFailing(ToyServedModel.this.failures) || isFailing(failures)) {
        throw new IllegalStateException("the device is on fire");
      }
      return toy.encode(pictures, guided);
    }

    private static boolean isFailing(AtomicInteger failures) {
      return failures.getAndUpdate(left -> Math.max(0, left - 1)) > 0;
    }

    @Override
    public Tensor decode(Tensor canvas) {
      return toy.decode(canvas);
    }

    @Override
    public Tensor encode(Tensor pixels) {
      return toy.encode(pixels);
    }

    @Override
    public void close() {}
  }
}
