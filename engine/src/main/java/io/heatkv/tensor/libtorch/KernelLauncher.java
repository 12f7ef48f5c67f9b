package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Compiles the kernels of this package's {@code .cu} files for one device and queues them. */
final class KernelLauncher {
  private static final int MAX_ARGUMENTS = 32;
  private static final int HOPPER = 90;

  private final Cuda cuda;
  private final CudaCompiler compiler;
  private final int device;
  private final ThreadLocal<Frame> frames;

  /** Arguments of a launch and the pointers to them, for one thread. */
  private static final class Frame {
    private final long[] numbers = new long[MAX_ARGUMENTS];
    private final MemorySegment values;
    private final MemorySegment pointers;
    private final MemorySegment out;
    private final LaunchConfig config;

    Frame(boolean overlaps) {
      Arena arena = Arena.ofAuto();
      values = arena.allocate(8L * MAX_ARGUMENTS, 8);
      pointers = arena.allocate(ADDRESS, MAX_ARGUMENTS);
      out = arena.allocate(ADDRESS);
      config = new LaunchConfig(overlaps);
      for (int i = 0; i < MAX_ARGUMENTS; i++) {
        pointers.setAtIndex(ADDRESS, i, values.asSlice(8L * i, 8));
      }
    }
  }

  /** A pointer to an element of a tensor, as an argument. */
  record Pointer(Tensor tensor, long bytes) {}

  /**
   * @throws CudaCompiler.Unavailable if there is no compiler
   */
  KernelLauncher(LibTorch torch, Cuda cuda, int device) throws CudaCompiler.Unavailable {
    this.cuda = cuda;
    this.device = device;
    compiler = cuda.compiler(torch.location().folder());
    boolean overlaps = capability() >= HOPPER;
    frames = ThreadLocal.withInitial(() -> new Frame(overlaps));
  }

  /** Compute capability of the device times ten, such as 90. */
  int capability() {
    return cuda.capability(device);
  }

  /** Multiprocessors of the device. */
  int multiprocessors() {
    return cuda.multiprocessors(device);
  }

  /**
   * Kernels of files, one after another.
   *
   * @param dtype of activations
   */
  KernelImages.Wanted of(List<String> files, DType dtype, String... defines) {
    return wanted("sm_" + capability(), files, dtype, defines);
  }

  /** As {@link #of}, with the instructions that only this generation of chips has. */
  KernelImages.Wanted ofChip(List<String> files, DType dtype, String... defines) {
    return wanted("sm_" + capability() + "a", files, dtype, defines);
  }

  private static KernelImages.Wanted wanted(
      String architecture, List<String> files, DType dtype, String... defines) {
    int element =
        switch (dtype) {
          case F32 -> 0;
          case F16 -> 1;
          case BF16 -> 2;
          default -> throw new IllegalArgumentException("no kernels for " + dtype);
        };
    List<String> options = new ArrayList<>();
    options.add("--gpu-architecture=" + architecture);
    options.add("-DELEMENT=" + element);
    for (String define : defines) {
      options.add("-D" + define);
    }
    return new KernelImages.Wanted(
        Stream.concat(Stream.of("launch.cu"), files.stream())
            .map(KernelLauncher::source)
            .collect(Collectors.joining()),
        List.copyOf(options));
  }

  /** Begins to compile kernels beside other work. */
  void begin(KernelImages.Wanted wanted) {
    compiler.begin(wanted);
  }

  /** Compiles kernels, unless that is done or under way, and loads them. */
  CudaCompiler.Module load(KernelImages.Wanted wanted) throws CudaCompiler.Unavailable {
    cuda.use(device);
    return compiler.compile(wanted);
  }

  private static String source(String file) {
    try (InputStream stream = KernelLauncher.class.getResourceAsStream(file)) {
      if (stream == null) {
        throw new IllegalStateException("the jar lacks " + file);
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Queues a kernel on libtorch's stream.
   *
   * @param arguments tensors (null for a null pointer), pointers, ints, longs and floats
   */
  void launch(
      MemorySegment kernel, long gridX, long gridY, int threads, @Nullable Object... arguments) {
    launchWithMemory(0, kernel, gridX, gridY, threads, arguments);
  }

  /** As {@link #launch}, with bytes of shared memory besides what the kernel declares. */
  void launchWithMemory(
      int shared,
      MemorySegment kernel,
      long gridX,
      long gridY,
      int threads,
      @Nullable Object... arguments) {
    if (gridX == 0) {
      return;
    }
    cuda.use(device);
    Frame frame = frames.get();
    // Through an array and a single copy: code that is still cold checks each access to a segment.
    for (int i = 0; i < arguments.length; i++) {
      frame.numbers[i] =
          switch (arguments[i]) {
            case null -> 0;
            case Tensor tensor -> tensor.address();
            case Pointer(Tensor tensor, long bytes) -> tensor.address() + bytes;
            // Its four bytes come first.
            case Integer number -> number;
            case Long number -> number;
            case Float number -> Float.floatToRawIntBits(number);
            default -> throw new IllegalArgumentException("no argument type: " + arguments[i]);
          };
    }
    MemorySegment.copy(frame.numbers, 0, frame.values, JAVA_LONG, 0, arguments.length);
    try {
      MemorySegment stream = cuda.stream(device, frame.out);
      int code =
          compiler.launch(
              kernel,
              frame.config.of(
                  Math.toIntExact(gridX), Math.toIntExact(gridY), threads, shared, stream),
              frame.pointers);
      if (code != 0) {
        throw new TensorException("launching a kernel failed (driver error " + code + ")");
      }
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
