package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/** The CUDA runtime that libtorch is linked to; functions return 0 for success. */
final class Cuda {
  // cudaDevAttrMultiProcessorCount, cudaDevAttrComputeCapabilityMajor and Minor
  private static final int MULTIPROCESSORS = 16;
  private static final int MAJOR = 75;
  private static final int MINOR = 76;
  // More than any version's cudaDeviceProp takes; it begins with 256 bytes of name.
  private static final long PROPERTIES = 16 << 10;

  // The stream on which a thread's kernels are recorded.
  private static final ThreadLocal<@Nullable MemorySegment> RECORDINGS = new ThreadLocal<>();

  private final MethodHandle deviceCount;
  private final MethodHandle properties;
  private final MethodHandle setDevice;
  private final MethodHandle currentDevice;
  private final MethodHandle attribute;
  private final MethodHandle memory;
  private final MethodHandle synchronize;
  private final MethodHandle errorText;
  private final MethodHandle stream;
  private final ThreadLocal<MemorySegment> currents =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(JAVA_INT));
  // While one thread records, none may wait for the whole device.
  private final ReentrantReadWriteLock recording = new ReentrantReadWriteLock();
  private @Nullable CudaCompiler compiler;

  Cuda(StableAbi abi) {
    deviceCount = abi.function("cudaGetDeviceCount", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    properties =
        abi.function("cudaGetDeviceProperties", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    setDevice = abi.function("cudaSetDevice", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    currentDevice = abi.function("cudaGetDevice", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    attribute =
        abi.function(
            "cudaDeviceGetAttribute", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    memory = abi.function("cudaMemGetInfo", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    synchronize = abi.function("cudaDeviceSynchronize", FunctionDescriptor.of(JAVA_INT));
    errorText = abi.function("cudaGetErrorString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    stream =
        abi.function(
            "aoti_torch_get_current_cuda_stream",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
  }

  /**
   * Number of devices.
   *
   * @throws UserException if the driver doesn't work
   */
  int devices() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_INT);
      int code = (int) deviceCount.invokeExact(out);
      if (code != 0) {
        throw new UserException(
            "CUDA doesn't work here: " + text(code) + "; see nvidia-smi, or use device cpu");
      }
      return out.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * @throws UserException if there is no such device
   */
  void require(Device device) {
    int count = devices();
    if (device.index() >= count) {
      throw new UserException(
          "device %s is missing; this machine has %s"
              .formatted(
                  device,
                  count == 0
                      ? "no CUDA device, use device cpu"
                      : "cuda:0" + (count == 1 ? "" : " to cuda:" + (count - 1))));
    }
  }

  /** Names of all devices; none where the driver doesn't work. */
  List<String> names() {
    List<String> names = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(PROPERTIES, 8);
      int code = (int) deviceCount.invokeExact(out);
      int count = code == 0 ? out.get(JAVA_INT, 0) : 0;
      for (int i = 0; i < count; i++) {
        check((int) properties.invokeExact(out, i), "asking for a device's name");
        names.add(out.getString(0));
      }
      return names;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** Compute capability times ten, such as 90. */
  int capability(int device) {
    return 10 * attribute(MAJOR, device) + attribute(MINOR, device);
  }

  /** Multiprocessors of a device. */
  int multiprocessors(int device) {
    return attribute(MULTIPROCESSORS, device);
  }

  private int attribute(int which, int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_INT);
      check((int) attribute.invokeExact(out, which, device), "asking for the device's properties");
      return out.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** Makes {@code device} the calling thread's current one. */
  void use(int device) {
    // Asked each time: it belongs to the thread that carries a virtual one, and others may set it.
    MemorySegment out = currents.get();
    try {
      check((int) currentDevice.invokeExact(out), "asking for the current device");
      if (out.get(JAVA_INT, 0) != device) {
        check((int) setDevice.invokeExact(device), "choosing device cuda:" + device);
      }
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  void synchronize(int device) {
    use(device);
    recording.readLock().lock();
    try {
      check((int) synchronize.invokeExact(), "waiting for device cuda:" + device);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    } finally {
      recording.readLock().unlock();
    }
  }

  Backend.DeviceMemory memory(int device) {
    use(device);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_LONG, 2);
      check((int) memory.invokeExact(out, out.asSlice(8)), "asking for the device's memory");
      return new Backend.DeviceMemory(out.get(JAVA_LONG, 0), out.get(JAVA_LONG, 8));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * The compiler of kernels for all devices.
   *
   * @param folder of libtorch's libraries
   * @throws CudaCompiler.Unavailable if there is none
   */
  synchronized CudaCompiler compiler(Path folder) throws CudaCompiler.Unavailable {
    if (compiler == null) {
      compiler = new CudaCompiler(folder);
    }
    return compiler;
  }

  /** The stream that this thread's work is queued on: libtorch's, unless it is recorded. */
  MemorySegment stream(int device, MemorySegment out) throws Throwable {
    MemorySegment recorded = RECORDINGS.get();
    return recorded != null ? recorded : torchStream(device, out);
  }

  /** From now on this thread's own kernels are queued on a stream that records them. */
  void beginRecording(MemorySegment stream) {
    recording.writeLock().lock();
    RECORDINGS.set(stream);
  }

  /** Ends that, if it began. */
  void endRecording() {
    if (recording.isWriteLockedByCurrentThread()) {
      RECORDINGS.remove();
      recording.writeLock().unlock();
    }
  }

  /** The stream that libtorch queues this thread's work on. */
  MemorySegment torchStream(int device, MemorySegment out) throws Throwable {
    check((int) stream.invokeExact(device, out), "asking for the stream");
    return out.get(ADDRESS, 0);
  }

  private void check(int code, String what) throws Throwable {
    if (code != 0) {
      throw new TensorException(what + " failed: " + text(code));
    }
  }

  private String text(int code) throws Throwable {
    MemorySegment text = (MemorySegment) errorText.invokeExact(code);
    return text.reinterpret(Long.MAX_VALUE).getString(0);
  }
}
