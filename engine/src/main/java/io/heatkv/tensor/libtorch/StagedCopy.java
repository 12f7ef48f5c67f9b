package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Copies of large host memory to a device. Several threads read it, from disk where it is a mapped
 * file, into pinned memory of their own, from which the device fetches it meanwhile; the driver
 * itself would do that in one thread.
 */
final class StagedCopy {
  /** Bytes of a block, and of a lane's buffer. */
  static final int BLOCK = 4 << 20;

  /** From so many bytes on, threads are worth their start. */
  static final long LEAST = 2L * BLOCK;

  private static final int MOST_LANES = 8;
  private static final ThreadPoolExecutor THREADS = threads();

  private final Queue<Lane> idle = new ConcurrentLinkedQueue<>();
  private final Supplier<@Nullable Lane> maker;

  /** A buffer and the way from it to the device; used by one thread at a time. */
  interface Lane {
    MemorySegment buffer();

    /** Copies the buffer's first bytes to an address of the device; returns when that is done. */
    void send(long target, long bytes);
  }

  /**
   * @param maker of lanes, which are kept; null where there is no memory for one
   */
  StagedCopy(Supplier<@Nullable Lane> maker) {
    this.maker = maker;
  }

  private static ThreadPoolExecutor threads() {
    ThreadPoolExecutor threads =
        new ThreadPoolExecutor(
            MOST_LANES,
            MOST_LANES,
            1,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().name("copy-to-device-", 0).daemon().factory());
    threads.allowCoreThreadTimeOut(true);
    return threads;
  }

  /**
   * Copies and waits.
   *
   * @return false if there is no lane: nothing was copied then, or not all
   * @throws TensorException if the device fails
   */
  boolean copy(long target, MemorySegment source) {
    return await(begin(target, source));
  }

  /**
   * Begins a copy. Those that were begun follow one another without a gap, so that small ones keep
   * all threads busy too.
   *
   * @return to be given to {@link #await} before either memory is used otherwise
   */
  CompletableFuture<Boolean> begin(long target, MemorySegment source) {
    long blocks = Math.ceilDiv(source.byteSize(), (long) BLOCK);
    int lanes =
        (int) Math.min(blocks, Math.min(MOST_LANES, Runtime.getRuntime().availableProcessors()));
    AtomicLong next = new AtomicLong();
    AtomicLong copied = new AtomicLong();
    AtomicBoolean stopped = new AtomicBoolean();
    CompletableFuture<?>[] parts =
        IntStream.range(0, lanes)
            .mapToObj(_ ->
                CompletableFuture.runAsync(
                    () -> copyBlocks(target, source, next, copied, stopped), THREADS))
            .toArray(CompletableFuture<?>[]::new);
    // All of them: none may write when the memory is someone else's.
    return CompletableFuture.allOf(parts).thenApply(_ -> copied.get() == source.byteSize());
  }

  /** Waits for a copy; see {@link #copy} for what it returns and throws. */
  static boolean await(CompletableFuture<Boolean> copy) {
    try {
      return copy.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  private void copyBlocks(
      long target,
      MemorySegment source,
      AtomicLong next,
      AtomicLong copied,
      AtomicBoolean stopped) {
    Lane known = idle.poll();
    Lane lane = known != null ? known : maker.get();
    if (lane == null) {
      return;
    }
    try {
      long start;
      while (!stopped.get() && (start = next.getAndAdd(BLOCK)) < source.byteSize()) {
        long bytes = Math.min(BLOCK, source.byteSize() - start);
        MemorySegment.copy(source, start, lane.buffer(), 0, bytes);
        lane.send(target + start, bytes);
        copied.addAndGet(bytes);
      }
    } catch (RuntimeException | Error e) {
      stopped.set(true);
      throw e;
    } finally {
      idle.add(lane);
    }
  }
}
