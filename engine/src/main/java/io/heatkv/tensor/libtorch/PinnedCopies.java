package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Copies of weights to CUDA devices, through pinned memory and a stream for each thread. */
final class PinnedCopies {
  // cudaHostAllocPortable, cudaStreamNonBlocking, cudaMemcpyHostToDevice
  private static final int PORTABLE = 1;
  private static final int NON_BLOCKING = 1;
  private static final int TO_DEVICE = 1;

  private final Cuda cuda;
  private final MethodHandle allocate;
  private final MethodHandle free;
  private final MethodHandle makeStream;
  private final MethodHandle copy;
  private final MethodHandle await;
  private final MethodHandle forgetError;
  private final Map<Integer, StagedCopy> ofDevices = new ConcurrentHashMap<>();

  PinnedCopies(StableAbi abi, Cuda cuda) {
    this.cuda = cuda;
    allocate =
        abi.function(
            "cudaHostAlloc", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    free = abi.function("cudaFreeHost", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    makeStream =
        abi.function(
            "cudaStreamCreateWithFlags", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    copy =
        abi.function(
            "cudaMemcpyAsync",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS));
    await = abi.function("cudaStreamSynchronize", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    forgetError = abi.function("cudaGetLastError", FunctionDescriptor.of(JAVA_INT));
  }

  /**
   * Begins to copy a large tensor of the CPU as it is to a device.
   *
   * @param target memory that libtorch gave the calling thread
   * @return null for all other copies; false in the end if there is no pinned memory
   */
  @Nullable CompletableFuture<Boolean> begin(LibTorch torch, Tensor target, Tensor source) {
    boolean isTaken =
        source.bytes() >= StagedCopy.LEAST
            && target.device().isCuda()
            && !source.device().isCuda()
            && target.dtype() == source.dtype()
            && Arrays.equals(target.shape(), source.shape())
            && target.isContiguous()
            && source.isContiguous();
    return isTaken ? begin(target.device().index(), target.address(), torch.memory(source)) : null;
  }

  private CompletableFuture<Boolean> begin(int device, long target, MemorySegment source) {
    cuda.use(device);
    try (Arena arena = Arena.ofConfined()) {
      // What had this memory before may still be queued there.
      check((int) await.invokeExact(cuda.stream(device, arena.allocate(ADDRESS))));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
    return ofDevices
        .computeIfAbsent(device, key -> new StagedCopy(() -> lane(key)))
        .begin(target, source);
  }

  private StagedCopy.@Nullable Lane lane(int device) {
    cuda.use(device);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ADDRESS);
      if ((int) allocate.invokeExact(out, (long) StagedCopy.BLOCK, PORTABLE) != 0) {
        int _ = (int) forgetError.invokeExact();
        return null;
      }
      MemorySegment buffer = out.get(ADDRESS, 0).reinterpret(StagedCopy.BLOCK);
      if ((int) makeStream.invokeExact(out, NON_BLOCKING) != 0) {
        int _ = (int) free.invokeExact(buffer);
        int _ = (int) forgetError.invokeExact();
        return null;
      }
      return new PinnedLane(device, buffer, out.get(ADDRESS, 0));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private final class PinnedLane implements StagedCopy.Lane {
    private final int device;
    private final MemorySegment buffer;
    private final MemorySegment stream;

    PinnedLane(int device, MemorySegment buffer, MemorySegment stream) {
      this.device = device;
      this.buffer = buffer;
      this.stream = stream;
    }

    @Override
    public MemorySegment buffer() {
      return buffer;
    }

    @Override
    public void send(long target, long bytes) {
      cuda.use(device);
      try {
        check((int) copy.invokeExact(target, buffer, bytes, TO_DEVICE, stream));
        check((int) await.invokeExact(stream));
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
    }
  }

  private static void check(int code) {
    if (code != 0) {
      throw new TensorException("copying to a device failed (CUDA error " + code + ")");
    }
  }
}
