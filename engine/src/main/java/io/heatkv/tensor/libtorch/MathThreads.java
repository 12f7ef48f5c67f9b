package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Operator.Products;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * How many threads an operator on the CPU uses, and who may use OpenBLAS's.
 *
 * <p>OpenBLAS has one count for all callers, and rounds otherwise with one thread than with
 * several. Operators that call it from their own threads need it at one, since it serves one caller
 * at a time; the others need it as it was. Either kind waits until the other has left.
 */
final class MathThreads {
  static final String[] OPENBLAS_VARIABLES = {
    "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"
  };
  private static final String[] TORCH_VARIABLES = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"};
  // Of openblas_get_parallel: builds with OpenMP tell by themselves who calls them.
  private static final int OWN_THREADS = 1;

  private final StableAbi abi;
  private final @Nullable MethodHandle setOpenBlas;
  private volatile int count;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition left = lock.newCondition();
  // Of OpenBLAS, guarded by the lock: for a product alone, and now.
  private int threads;
  private int current;
  private int inside;
  private int waiting;

  /** Takes one thread a core that this process may use, or what the user's variables say. */
  MathThreads(StableAbi abi) {
    this.abi = abi;
    int cores = Processor.cores();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_INT);
      count = areUnset(TORCH_VARIABLES) && abi.setThreads != null ? cores : ofCaller(out);
      if (abi.openBlas != null && (int) abi.openBlas.kind().invokeExact() == OWN_THREADS) {
        setOpenBlas = abi.openBlas.setThreads();
        current = (int) abi.openBlas.threads().invokeExact();
        threads = areUnset(OPENBLAS_VARIABLES) ? cores : current;
      } else {
        setOpenBlas = null;
      }
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private static boolean areUnset(String... variables) {
    for (String name : variables) {
      if (System.getenv(name) != null) {
        return false;
      }
    }
    return true;
  }

  /**
   * Sets the threads of all operators that are called from now on.
   *
   * @throws UserException if this libtorch can't be told
   */
  void set(int wanted) {
    if (wanted != count && abi.setThreads == null) {
      throw new UserException(
          "this libtorch takes no number of threads; set OMP_NUM_THREADS="
              + wanted
              + " before the process starts");
    }
    lock.lock();
    try {
      count = wanted;
      threads = wanted;
    } finally {
      lock.unlock();
    }
  }

  /** Threads of an operator. */
  int count() {
    return count;
  }

  /**
   * Gives the calling thread, of which libtorch keeps a count each, that of all.
   *
   * @param out room for an int
   */
  void apply(MemorySegment out) {
    try {
      if (abi.setThreads != null && ofCaller(out) != count) {
        abi.setThreads.invokeExact(count);
      }
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private int ofCaller(MemorySegment out) throws Throwable {
    int ignored = (int) abi.threads.invokeExact(out);
    return out.get(JAVA_INT, 0);
  }

  /** Waits until an operator may use OpenBLAS. */
  void enter(Products products) throws Throwable {
    if (setOpenBlas == null || products == Products.NONE) {
      return;
    }
    lock.lock();
    try {
      // Whoever might join those inside lets those who wait go first.
      boolean first = true;
      while (inside > 0 && (wanted(products) != current || (first && waiting > 0))) {
        first = false;
        waiting++;
        left.awaitUninterruptibly();
        waiting--;
      }
      if (wanted(products) != current) {
        current = wanted(products);
        setOpenBlas.invokeExact(current);
      }
      inside++;
    } finally {
      lock.unlock();
    }
  }

  private int wanted(Products products) {
    return products == Products.PARTS ? 1 : threads;
  }

  /** Lets others in, after {@link #enter}. */
  void leave(Products products) {
    if (setOpenBlas == null || products == Products.NONE) {
      return;
    }
    lock.lock();
    try {
      inside--;
      if (inside == 0) {
        left.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }
}
