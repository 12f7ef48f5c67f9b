package io.heatkv.cli.commands;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Sizes;
import io.heatkv.cli.options.CacheOptions;
import io.heatkv.cli.options.DeviceList;
import io.heatkv.cli.options.LibraryOpening;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelName;
import io.heatkv.error.UserException;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.ModelDescription;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Prints the configuration of Spark that drawing with a model needs. */
@Command(
    name = "spark-conf",
    description = {
      "Prints the configuration of Apache Spark that executors need to draw with a model: memory,",
      "cores, GPUs, files. What can't fit is refused. The lines are for spark-submit's"
          + " --properties-file."
    },
    footer = {
      "  heatkv spark-conf --kv-budget 10%% --executor-memory 8GiB > heatkv.conf",
      "  heatkv spark-conf --model models/infinity-2b --kv-budget 2.5%% --executor-gpus 1 \\",
      "      --gpu-memory 80GiB --executor-memory 32GiB"
    })
public final class SparkConfCommand implements Callable<Integer> {
  private static final long MIB = 1L << 20;
  // Rows and pictures on their way; Spark keeps 300 MiB of it for itself.
  private static final long HEAP = 1L << 30;
  // Code, threads and buffers of the JVM beside its heap.
  private static final long JVM = 384 * MIB;
  // CUDA's context and libraries in the host's memory, and what weights pass through.
  private static final long CUDA_HOST = 4L << 30;
  // As the command's launcher has it.
  private static final String TUNABLES =
      "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0";
  private static final String NATIVE = "--enable-native-access=ALL-UNNAMED";

  private final Console console;

  @Option(
      names = "--executor-memory",
      paramLabel = "SIZE",
      description =
          "All memory of an executor, heap and native, such as 8GiB. Default: what is needed.")
  private @Nullable String executorMemory;

  @Option(
      names = "--executor-cores",
      paramLabel = "N",
      description = "Cores of an executor. Default: ${DEFAULT-VALUE}.")
  private int cores = 4;

  @Option(
      names = "--executor-gpus",
      paramLabel = "N",
      description = "GPUs of an executor, one model each; without it, the CPU draws.")
  private int gpus;

  @Option(
      names = "--gpu-memory",
      paramLabel = "SIZE",
      description = "Free memory of a GPU, such as 80GiB, to refuse what can't fit.")
  private @Nullable String gpuMemory;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Pictures of a pass. Default: 4 on the CPU, 16 on a GPU.")
  private int batch;

  @Option(
      names = "--libtorch",
      paramLabel = "DIR",
      description =
          "Folder of a CUDA libtorch on the executors' hosts. Default: HEATKV_LIBTORCH of this one.")
  private @Nullable String libtorch = System.getenv(LibTorchLocation.VARIABLE);

  @Mixin private final CacheOptions cache = new CacheOptions();
  @Mixin private final ModelName model = new ModelName();

  public SparkConfCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    requireIn("executor-cores", cores, 1, 1024);
    requireIn("executor-gpus", gpus, 0, 64);
    requireIn("batch", batch, 0, 1024);
    if (gpus > cores) {
      throw new UserException(
          "%d GPUs need as many cores, for each task has one; raise --executor-cores from %d"
              .formatted(gpus, cores));
    }
    if (gpuMemory != null && gpus == 0) {
      throw new UserException("--gpu-memory has no GPU; add --executor-gpus, or leave it out");
    }
    if (gpus > 0 && libtorch == null) {
      throw new UserException(
          "executors with GPUs need a libtorch with CUDA; name its folder there with --libtorch");
    }
    ModelDescription description = model.find();
    Device device = gpus > 0 ? Device.cuda(0) : Device.CPU;
    try (ModelChoice choice =
        new ModelChoice(
            description,
            DeviceList.of(device),
            model.dtype(description, device),
            LibraryOpening.none())) {
      print(choice);
    }
    return 0;
  }

  private static void requireIn(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new UserException(
          "%s %d is out of range; expected %d to %d".formatted(name, value, least, most));
    }
  }

  private void print(ModelChoice choice) {
    ModelDescription description = choice.description();
    ScaleGrids grids = description.grids();
    CachePolicy policy = cache.policy(choice, grids);
    int pictures = batch > 0 ? batch : gpus > 0 ? 16 : 4;
    GenerationRequest request =
        GenerationRequest.of(
            Collections.nCopies(pictures, description.example()),
            Optional.empty(),
            1,
            0,
            grids,
            description.sampling(),
            policy);
    KvShape shape = request.kvShape(description, choice.dtype());
    Map<String, String> lines = new LinkedHashMap<>();
    long overhead;
    int taskCpus;
    if (gpus > 0) {
      if (gpuMemory != null) {
        description
            .need(shape, policy, choice.device())
            .requireAtMost(
                choice.device(), bytes("gpu-memory", gpuMemory), pictures, shape.fullBytes());
      }
      taskCpus = cores / gpus;
      overhead = JVM + CUDA_HOST;
    } else {
      MemoryEstimate estimate = description.estimate(shape, policy);
      taskCpus = taskCpus(estimate);
      overhead = overhead(estimate, taskCpus);
    }
    long heap = heap(overhead);
    lines.put("spark.executor.cores", String.valueOf(cores));
    lines.put("spark.task.cpus", String.valueOf(taskCpus));
    lines.put("spark.executor.memory", mib(heap));
    lines.put("spark.executor.memoryOverhead", mib(overhead));
    if (gpus > 0) {
      lines.put("spark.executor.resource.gpu.amount", String.valueOf(gpus));
      lines.put("spark.task.resource.gpu.amount", "1");
    }
    if (libtorch != null) {
      lines.put("spark.executorEnv." + LibTorchLocation.VARIABLE, libtorch);
    }
    lines.put("spark.executorEnv.GLIBC_TUNABLES", TUNABLES);
    lines.put("spark.executor.extraJavaOptions", NATIVE);
    lines.put("spark.driver.extraJavaOptions", NATIVE);
    if (!model.isDefault()) {
      String name = String.valueOf(description.folder().toAbsolutePath().normalize().getFileName());
      lines.put("spark.archives", name + ".tar.gz#" + name);
    }
    console.print(
        "# %s in %s, KV cache %s a picture, %d pictures a pass, %d at once"
            .formatted(
                description.name(),
                choice.dtype(),
                Sizes.text(policy.plan(shape).bytes() / pictures),
                pictures,
                gpus > 0 ? gpus : cores / taskCpus));
    lines.forEach((name, value) -> console.print(name + " " + value));
  }

  /** As few cores a task as leave memory for all tasks at once. */
  private int taskCpus(MemoryEstimate estimate) {
    if (executorMemory == null) {
      return 1;
    }
    long all = bytes("executor-memory", executorMemory);
    int least =
        IntStream.rangeClosed(1, cores)
            .filter(cpus -> HEAP + overhead(estimate, cpus) <= all)
            .findFirst()
            .orElse(cores);
    // As many tasks as with those, which share all cores.
    return cores / (cores / least);
  }

  /** Weights once, keys, values and everything else for each task. */
  private long overhead(MemoryEstimate estimate, int taskCpus) {
    int tasks = cores / taskCpus;
    return JVM
        + estimate.total()
        + estimate.mapped()
        + (tasks - 1) * (estimate.cache() + estimate.activations());
  }

  /** What is left of the executor's memory, at least what rows need. */
  private long heap(long overhead) {
    if (executorMemory == null) {
      return HEAP;
    }
    long all = bytes("executor-memory", executorMemory);
    if (HEAP + overhead > all) {
      throw new UserException(
          "an executor of %s can't hold it: %s are needed, %s of them native; allow more, or draw fewer pictures in a pass, under a smaller --kv-budget"
              .formatted(Sizes.text(all), Sizes.text(HEAP + overhead), Sizes.text(overhead)));
    }
    return all - Math.ceilDiv(overhead, MIB) * MIB;
  }

  private static String mib(long bytes) {
    return Math.ceilDiv(bytes, MIB) + "m";
  }

  private static long bytes(String name, String text) {
    try {
      if (Budget.parse(text) instanceof Budget.Bytes size) {
        return size.count();
      }
    } catch (UserException _) {
      // What it says is of budgets of a cache.
    }
    throw new UserException("%s %s is no size; expected such as 8GiB".formatted(name, text));
  }
}
