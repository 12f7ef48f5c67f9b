package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.heatkv.tensor.DeviceTrace;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A trace by CUPTI's activity records, which comes along with a CUDA build of libtorch. The process
 * has one, since CUPTI calls back without saying whom; it counts the work of all threads.
 */
final class CudaTrace implements DeviceTrace {
  // CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, MEMCPY and MEMSET
  private static final int[] KINDS = {10, 1, 2};
  private static final long BUFFER_BYTES = 1 << 20;
  private static final int FORCED = 1;
  // In the records of all three kinds.
  private static final long START = 16;
  private static final long END = 24;

  private static @Nullable CudaTrace only;

  private final Cuda cuda;
  private final MethodHandle enable;
  private final MethodHandle disable;
  private final MethodHandle flush;
  private final MethodHandle nextRecord;
  private final ConcurrentLinkedQueue<MemorySegment> free = new ConcurrentLinkedQueue<>();
  private final AtomicLong steps = new AtomicLong();
  private final CoveredTime busy = new CoveredTime();
  private final AtomicLong broken = new AtomicLong();
  private int device;
  private boolean open;

  private CudaTrace(StableAbi abi, Cuda cuda) throws ReflectiveOperationException {
    this.cuda = cuda;
    FunctionDescriptor ofInt = FunctionDescriptor.of(JAVA_INT, JAVA_INT);
    enable = abi.function("cuptiActivityEnable", ofInt);
    disable = abi.function("cuptiActivityDisable", ofInt);
    flush = abi.function("cuptiActivityFlushAll", ofInt);
    nextRecord =
        abi.function(
            "cuptiActivityGetNextRecord",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS));
    MemorySegment requested =
        callback(
            "requested",
            MethodType.methodType(
                void.class, MemorySegment.class, MemorySegment.class, MemorySegment.class),
            FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, ADDRESS));
    MemorySegment completed =
        callback(
            "completed",
            MethodType.methodType(
                void.class,
                MemorySegment.class,
                int.class,
                MemorySegment.class,
                long.class,
                long.class),
            FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    MethodHandle register =
        abi.function(
            "cuptiActivityRegisterCallbacks", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    try {
      check((int) register.invokeExact(requested, completed), "registering");
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private MemorySegment callback(String name, MethodType type, FunctionDescriptor descriptor)
      throws ReflectiveOperationException {
    MethodHandle method = MethodHandles.lookup().bind(this, name, type);
    return Linker.nativeLinker().upcallStub(method, descriptor, Arena.global());
  }

  /** Starts a trace, or null where CUPTI is missing or a trace is open. */
  static synchronized @Nullable CudaTrace start(StableAbi abi, Cuda cuda, int device) {
    if (!abi.has("cuptiActivityRegisterCallbacks")) {
      return null;
    }
    try {
      if (only == null) {
        only = new CudaTrace(abi, cuda);
      }
      if (only.open) {
        return null;
      }
      only.device = device;
      cuda.use(device);
      for (int kind : KINDS) {
        only.check((int) only.enable.invokeExact(kind), "enabling");
      }
      only.next();
      only.open = true;
      return only;
    } catch (TensorException e) {
      // Such as where a profiler is attached already.
      return null;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** CUPTI asks for memory; nothing may be thrown through native code. */
  void requested(MemorySegment buffer, MemorySegment size, MemorySegment records) {
    MemorySegment memory = free.poll();
    if (memory == null) {
      memory = Arena.global().allocate(BUFFER_BYTES, 8);
    }
    buffer.reinterpret(ADDRESS.byteSize()).set(ADDRESS, 0, memory);
    size.reinterpret(JAVA_LONG.byteSize()).set(JAVA_LONG, 0, BUFFER_BYTES);
    records.reinterpret(JAVA_LONG.byteSize()).set(JAVA_LONG, 0, 0);
  }

  /** CUPTI returns memory with records in it. */
  void completed(MemorySegment context, int stream, MemorySegment buffer, long size, long valid) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment record = arena.allocate(ADDRESS);
      while (valid > 0 && (int) nextRecord.invokeExact(buffer, valid, record) == 0) {
        MemorySegment found = record.get(ADDRESS, 0).reinterpret(END + 8);
        steps.incrementAndGet();
        busy.add(found.get(JAVA_LONG_UNALIGNED, START), found.get(JAVA_LONG_UNALIGNED, END));
      }
      free.add(buffer.reinterpret(size));
    } catch (Throwable e) {
      broken.incrementAndGet();
    }
  }

  @Override
  public Activity next() {
    cuda.synchronize(device);
    try {
      check((int) flush.invokeExact(FORCED), "reading");
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
    if (broken.get() > 0) {
      throw new TensorException("the records of CUDA's profiler can't be read");
    }
    return new Activity(steps.getAndSet(0), busy.take());
  }

  private void check(int code, String what) {
    if (code != 0) {
      throw new TensorException(what + " CUDA's activity failed (CUPTI error " + code + ")");
    }
  }

  @Override
  public void close() {
    synchronized (CudaTrace.class) {
      open = false;
      try {
        for (int kind : KINDS) {
          check((int) disable.invokeExact(kind), "disabling");
        }
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
    }
  }
}
