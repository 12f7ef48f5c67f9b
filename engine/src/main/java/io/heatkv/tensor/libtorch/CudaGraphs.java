package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.Repeats;
import io.heatkv.tensor.Room;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Scratch;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Recordings of one model as CUDA graphs. What is asked for the first time runs as usual, which
 * makes ready what kernels need; the second time it is recorded, if it consists of own kernels and
 * cuBLASLt's products.
 *
 * <p>Tensors of all recordings lie in the same memory, since one recording runs after another.
 */
final class CudaGraphs implements Repeats {
  static final int MOST_KEYS = 1024;
  // Replays of others after which a recording gives its place to a new one: where more are asked
  // for in turns than are kept, recording each of them anew would take longer than none.
  static final int LEAST_UNUSED = 8 * CAPACITY;
  private static final long NONE = -1;

  private final GraphDriver driver;
  private final ReentrantLock turn = new ReentrantLock();
  // The one that all of them run on.
  private long stream = NONE;
  private boolean closed;
  private long runs;
  private final LinkedHashMap<Object, Recording> recordings = new LinkedHashMap<>(16, 0.75f, true);
  // What was asked for, and whether it can be recorded.
  private final LinkedHashMap<Object, Boolean> seen = new LinkedHashMap<>(16, 0.75f, true);

  /**
   * What is replayed.
   *
   * @param graphs one after another
   * @param x where the tensor lies that they change
   * @param outcome that the region returned
   */
  private record Recording(List<Long> graphs, long x, Object outcome, long[] lastRun) {}

  CudaGraphs(GraphDriver driver) {
    this.driver = driver;
  }

  @Override
  @SuppressWarnings("unchecked") // What a region of that key returned.
  public <T> T run(@Nullable Object key, Tensor x, Region<T> region) {
    Recording replayed = key == null ? null : replayed(key, x, region);
    return replayed == null ? region.run(x, () -> {}) : (T) replayed.outcome;
  }

  /** The recording that was replayed, or null if the region is to run. */
  private @Nullable Recording replayed(Object key, Tensor x, Region<?> region) {
    turn.lock();
    try {
      if (closed) {
        return null;
      }
      runs++;
      Recording known = recordings.get(key);
      if (known == null && isRecorded(key)) {
        known = record(x, region);
        if (known == null) {
          seen.put(key, false);
        } else {
          recordings.put(key, known);
        }
      }
      if (known == null || driver.stream() != stream) {
        return null;
      }
      known.lastRun[0] = runs;
      driver.copy(known.x, x.address(), x.bytes());
      known.graphs.forEach(driver::launch);
      driver.copy(x.address(), known.x, x.bytes());
      return known;
    } finally {
      turn.unlock();
    }
  }

  /** Whether to record what isn't recorded yet; makes a place for it then. */
  private boolean isRecorded(Object key) {
    Boolean isPossible = seen.putIfAbsent(key, true);
    if (seen.size() > MOST_KEYS) {
      seen.pollFirstEntry();
    }
    if (isPossible == null || !isPossible) {
      return false;
    }
    if (recordings.size() == CAPACITY) {
      Recording oldest = recordings.firstEntry().getValue();
      if (runs - oldest.lastRun[0] < LEAST_UNUSED) {
        return false;
      }
      free(recordings.pollFirstEntry().getValue().graphs);
    }
    return true;
  }

  private @Nullable Recording record(Tensor x, Region<?> region) {
    Room room = driver.room();
    if (stream == NONE) {
      stream = driver.stream();
    }
    if (room == null || driver.stream() != stream) {
      return null;
    }
    List<Long> graphs = new ArrayList<>();
    Recording whole = null;
    try (Scratch _ = Scratch.open(room);
        Scope _ = Scope.open()) {
      driver.begin();
      Tensor changed = Tensor.empty(x.backend(), x.dtype(), x.device(), x.shape());
      Object outcome =
          region.run(
              changed,
              () -> {
                graphs.add(driver.end());
                driver.begin();
              });
      whole = new Recording(graphs, changed.address(), outcome, new long[1]);
    } catch (RuntimeException e) {
      // It runs as it is, and fails then if that was more than a call that can't be recorded.
    } finally {
      graphs.add(driver.end());
    }
    if (whole == null || graphs.contains(0L)) {
      free(graphs);
      return null;
    }
    return whole;
  }

  private void free(List<Long> graphs) {
    graphs.stream().filter(graph -> graph != 0).forEach(driver::free);
  }

  @Override
  public void close() {
    turn.lock();
    try {
      if (!closed) {
        closed = true;
        recordings.values().forEach(each -> free(each.graphs));
        recordings.clear();
        seen.clear();
        driver.close();
      }
    } finally {
      turn.unlock();
    }
  }
}
