package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.Device;
import io.heatkv.tensor.Room;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/** CUDA graphs of one device by the CUDA runtime; one thread at a time. */
final class CudaGraphDriver implements GraphDriver {
  // cudaStreamNonBlocking: what others queue on the default stream meanwhile isn't recorded.
  private static final int NON_BLOCKING = 1;
  // cudaStreamCaptureModeRelaxed: others may allocate meanwhile.
  private static final int RELAXED = 2;
  private static final int DEVICE_TO_DEVICE = 3;

  private final Cuda cuda;
  private final Device device;
  private final long bytes;
  private final MethodHandle allocate;
  private final MethodHandle release;
  private final MethodHandle createStream;
  private final MethodHandle destroyStream;
  private final MethodHandle beginCapture;
  private final MethodHandle endCapture;
  private final MethodHandle instantiate;
  private final MethodHandle launch;
  private final MethodHandle destroyGraph;
  private final MethodHandle destroy;
  private final MethodHandle copy;
  private final MethodHandle forgetError;
  private final MemorySegment out = Arena.ofAuto().allocate(ADDRESS);
  private boolean isAsked;
  private @Nullable Room room;
  private MemorySegment memory = MemorySegment.NULL;
  private MemorySegment recorded = MemorySegment.NULL;

  /**
   * @param bytes of the memory for what is recorded, a multiple of 512
   */
  CudaGraphDriver(StableAbi abi, Cuda cuda, Device device, long bytes) {
    this.bytes = bytes;
    this.cuda = cuda;
    this.device = device;
    FunctionDescriptor ofOne = FunctionDescriptor.of(JAVA_INT, ADDRESS);
    FunctionDescriptor ofTwo = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
    FunctionDescriptor ofInt = FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT);
    allocate = abi.function("cudaMalloc", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    release = abi.function("cudaFree", ofOne);
    createStream = abi.function("cudaStreamCreateWithFlags", ofInt);
    destroyStream = abi.function("cudaStreamDestroy", ofOne);
    beginCapture = abi.function("cudaStreamBeginCapture", ofInt);
    endCapture = abi.function("cudaStreamEndCapture", ofTwo);
    instantiate =
        abi.function(
            "cudaGraphInstantiateWithFlags",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG));
    launch = abi.function("cudaGraphLaunch", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    destroyGraph = abi.function("cudaGraphDestroy", ofOne);
    destroy = abi.function("cudaGraphExecDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    copy =
        abi.function(
            "cudaMemcpyAsync",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS));
    forgetError = abi.function("cudaGetLastError", FunctionDescriptor.of(JAVA_INT));
  }

  @Override
  public long stream() {
    return current().address();
  }

  private MemorySegment current() {
    // The default stream is that of the thread's current device.
    cuda.use(device.index());
    try {
      return cuda.torchStream(device.index(), out);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** Not libtorch's, since it is no tensor that someone was handed out. */
  @Override
  public @Nullable Room room() {
    if (!isAsked) {
      isAsked = true;
      try {
        cuda.use(device.index());
        int code = (int) allocate.invokeExact(out, bytes);
        if (code != 0) {
          int _ = (int) forgetError.invokeExact();
          return null;
        }
        memory = out.get(ADDRESS, 0);
        room = new Room(device, memory.address(), bytes);
        check((int) createStream.invokeExact(out, NON_BLOCKING));
        recorded = out.get(ADDRESS, 0);
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
    }
    return room;
  }

  @Override
  public void begin() {
    try {
      cuda.use(device.index());
      cuda.beginRecording(recorded);
      check((int) beginCapture.invokeExact(recorded, RELAXED));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  @Override
  public long end() {
    try {
      int code = (int) endCapture.invokeExact(recorded, out);
      MemorySegment graph = out.get(ADDRESS, 0);
      long ready = 0;
      if (code == 0) {
        code = (int) instantiate.invokeExact(out, graph, 0L);
        ready = code == 0 ? out.get(JAVA_LONG, 0) : 0;
        check((int) destroyGraph.invokeExact(graph));
      }
      if (code != 0) {
        int _ = (int) forgetError.invokeExact();
      }
      return ready;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    } finally {
      cuda.endRecording();
    }
  }

  @Override
  public void launch(long graph) {
    try {
      check((int) launch.invokeExact(graph, current()));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  @Override
  public void copy(long target, long source, long bytes) {
    try {
      check((int) copy.invokeExact(target, source, bytes, DEVICE_TO_DEVICE, current()));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  @Override
  public void free(long graph) {
    try {
      check((int) destroy.invokeExact(graph));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  @Override
  public void close() {
    room = null;
    try {
      if (memory.address() != 0) {
        check((int) release.invokeExact(memory));
        memory = MemorySegment.NULL;
      }
      if (recorded.address() != 0) {
        check((int) destroyStream.invokeExact(recorded));
        recorded = MemorySegment.NULL;
      }
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private static void check(int code) {
    if (code != 0) {
      throw new TensorException("a CUDA graph failed (error " + code + ")");
    }
  }
}
