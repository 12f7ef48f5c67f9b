package io.heatkv.spark;

import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.OpenOptions;
import io.heatkv.PictureSizes;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.HostTuning;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;
import org.apache.spark.TaskContext;
import org.apache.spark.util.TaskCompletionListener;
import org.jspecify.annotations.Nullable;

/**
 * A model in an executor's JVM, shared by all its tasks on one device. It stays loaded after its
 * last task, for the next job, until another model is asked for.
 */
final class ExecutorModel {
  // Guarded by the class: a model that is loading is in use.
  private static final Map<Key, CompletableFuture<ExecutorModel>> LOADING = new HashMap<>();
  private static final Map<Key, Integer> USERS = new HashMap<>();

  private final ImageGenerator generator;
  private final PictureSizes sizes;
  private final Map<PolicyKey, CachePolicy> policies = new ConcurrentHashMap<>();
  // Bytes for each task, measured once: libtorch keeps what passes gave back.
  private final long share;

  /**
   * What tells loaded models apart.
   *
   * @param threads of an operator on the CPU
   */
  private record Key(SparkModel model, Device device, int threads) {}

  private record PolicyKey(String name, String budget, ScaleGrids grids) {}

  private ExecutorModel(ImageGenerator generator, int tasks) {
    this.generator = generator;
    Device device = generator.model().device();
    share =
        device.isCuda()
            ? MemoryNeed.usable(device, generator.model().backend().memory(device).free())
            : AvailableMemory.bytes() / tasks;
    sizes = generator.sizes();
  }

  /**
   * The model for a task, which holds it until the task ends.
   *
   * @throws UserException if it can't be opened here; the next task tries again
   */
  static ExecutorModel of(SparkModel model, TaskContext context) {
    Key key = new Key(model, device(model, context), context.cpus());
    CompletableFuture<ExecutorModel> loading = hold(key, tasks(context));
    TaskCompletionListener release = _ -> release(key);
    TaskContext _ = context.addTaskCompletionListener(release);
    try {
      return loading.join();
    } catch (CompletionException e) {
      throw asUserError(e.getCause() == null ? e : e.getCause());
    }
  }

  /** The device for a task, by the GPUs that Spark gave it. */
  static Device device(SparkModel model, TaskContext context) {
    return model.device(
        Optional.ofNullable(context.resourcesJMap().get("gpu"))
            .map(gpu -> List.of(gpu.addresses()))
            .orElse(List.of()));
  }

  private static UserException asUserError(Throwable problem) {
    return problem instanceof UserException known
        ? known
        : new UserException("the model can't be opened here: " + problem, problem);
  }

  private static synchronized CompletableFuture<ExecutorModel> hold(Key key, int tasks) {
    USERS.merge(key, 1, Integer::sum);
    CompletableFuture<ExecutorModel> known = LOADING.get(key);
    if (known != null && !known.isCompletedExceptionally()) {
      return known;
    }
    // What nobody uses any more makes room.
    for (Key other : List.copyOf(LOADING.keySet())) {
      CompletableFuture<ExecutorModel> unused =
          USERS.containsKey(other) ? null : LOADING.remove(other);
      if (unused != null) {
        unused.thenAccept(old -> old.generator.close());
      }
    }
    // By a thread of its own: a task that is killed interrupts its thread, and others wait as well.
    CompletableFuture<ExecutorModel> loading = new CompletableFuture<>();
    LOADING.put(key, loading);
    Path files = Path.of(SparkFiles.getRootDirectory());
    Thread.ofPlatform()
        .daemon()
        .name("load-" + key.device)
        .start(() -> {
          try {
            // An executor is for this, as the command's process is.
            HostTuning.apply();
            loading.complete(
                new ExecutorModel(open(key.model, key.device, key.threads, files), tasks));
          } catch (Throwable e) {
            loading.completeExceptionally(e);
          }
        });
    return loading;
  }

  private static synchronized void release(Key key) {
    USERS.computeIfPresent(key, (_, users) -> users == 1 ? null : users - 1);
  }

  /**
   * Opens a model.
   *
   * @param threads of an operator on the CPU; 0 leaves them as they are
   * @param files where Spark brought what it brought
   */
  static ImageGenerator open(SparkModel model, Device device, int threads, Path files) {
    OpenOptions options = OpenOptions.on(device).withThreads(threads);
    if (model.dtype() != null) {
      options = options.with(DType.parseCompute(model.dtype()));
    }
    if (model.libtorch() != null) {
      options = options.withLibtorch(Path.of(SparkModel.placed(model.libtorch(), files)));
    }
    return ImageGenerator.open(SparkModel.placed(model.name(), files), options);
  }

  /** Tasks that this executor runs at once. */
  private static int tasks(TaskContext context) {
    int cores =
        SparkEnv.get()
            .conf()
            .getInt("spark.executor.cores", Runtime.getRuntime().availableProcessors());
    return Math.max(1, cores / context.cpus());
  }

  ImageGenerator generator() {
    return generator;
  }

  /** The grids of a size in pixels; the model's own for null. */
  ScaleGrids grids(@Nullable String size) {
    return size == null ? generator.description().grids() : sizes.nearest(size).grids();
  }

  /** A policy under a budget, made once; the full cache for a budget of null. */
  CachePolicy policy(String name, @Nullable String budget, ScaleGrids grids) {
    return budget == null
        ? CachePolicy.FULL
        : policies.computeIfAbsent(
            new PolicyKey(name, budget, grids), key -> generator.policy(name, budget, key.grids));
  }

  /**
   * How many of a request's pictures fit into this task's share of the memory, at least one.
   *
   * @throws UserException if not even one does
   */
  int fitting(GenerationRequest request) {
    for (int pictures = request.images(); pictures > 1; pictures--) {
      if (fits(first(request, pictures))) {
        return pictures;
      }
    }
    GenerationRequest one = first(request, 1);
    if (!fits(one)) {
      throw new UserException(
          "a picture takes %d MiB besides the model, this task's share of the free memory is %d MiB; run fewer tasks at once, or raise the executor's memory overhead"
              .formatted(need(one) >> 20, share >> 20));
    }
    return 1;
  }

  private boolean fits(GenerationRequest request) {
    return need(request) <= share;
  }

  private static GenerationRequest first(GenerationRequest request, int pictures) {
    return new GenerationRequest(
        request.pictures().subList(0, pictures), request.grids(), request.policy());
  }

  /** Bytes besides the weights. */
  private long need(GenerationRequest request) {
    Device device = generator.model().device();
    KvShape shape = generator.kvShape(request);
    if (device.isCuda()) {
      MemoryNeed need = generator.description().need(shape, request.policy(), device);
      return need.cache() + need.scratch();
    }
    MemoryEstimate estimate = generator.description().estimate(shape, request.policy());
    return estimate.cache() + estimate.activations();
  }
}
