package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keeps small tensors that were freed for the next ones of the same type and shape, as the layers
 * of a network ask for them again and again. It spares the host the backend's allocator, which
 * counts where steps are short.
 *
 * <p>Only tensors return that no operator of the backend read, but own kernels, which take
 * addresses: nothing else can look at their memory then. Work on it is in the order of the thread's
 * stream, as it is with the backend's own allocations.
 */
public final class Scratch implements AutoCloseable {
  /** The largest tensor kept; those of many tokens keep the device busy anyway. */
  static final long MOST_BYTES = 2 << 20;

  private static final int CAPACITY = 32;
  private static final ThreadLocal<@Nullable Scratch> CURRENT = new ThreadLocal<>();

  private final @Nullable Scratch parent;
  // Where all new tensors lie while a region is recorded; null while it runs.
  private final @Nullable Room room;
  private final List<Handle> idle = new ArrayList<>();

  private Scratch(@Nullable Scratch parent, @Nullable Room room) {
    this.parent = parent;
    this.room = room;
  }

  /** Begins to keep what this thread frees, until it is closed. */
  public static Scratch open() {
    Scratch parent = CURRENT.get();
    return open(parent, parent == null ? null : parent.room);
  }

  /** Puts this thread's new tensors into a room until it is closed; operators mustn't read them. */
  public static Scratch open(Room room) {
    return open(CURRENT.get(), room);
  }

  private static Scratch open(@Nullable Scratch parent, @Nullable Room room) {
    Scratch scratch = new Scratch(parent, room);
    CURRENT.set(scratch);
    return scratch;
  }

  /**
   * For operators of the backend.
   *
   * @throws Repeats.Unrepeatable while a region is recorded, which takes own kernels only
   */
  static void requireReadable() {
    Scratch scratch = CURRENT.get();
    if (scratch != null && scratch.room != null) {
      throw new Repeats.Unrepeatable("an operator reads a tensor");
    }
  }

  /** A new tensor for one user, or one that was kept. */
  static Handle allocate(Backend backend, DType dtype, Device device, long[] shape) {
    Scratch scratch = CURRENT.get();
    if (scratch != null && scratch.room != null && scratch.room.device().equals(device)) {
      long bytes = Layout.count(shape) * dtype.bytes();
      return new Handle(
          backend, scratch.room, scratch.room.take(bytes), dtype, device, shape.clone());
    }
    Handle kept = scratch == null ? null : scratch.take(backend, dtype, device, shape);
    return kept != null
        ? kept
        : new Handle(backend, backend.empty(dtype, device, shape), dtype, device, shape.clone());
  }

  private @Nullable Handle take(Backend backend, DType dtype, Device device, long[] shape) {
    for (int i = idle.size() - 1; i >= 0; i--) {
      Handle handle = idle.get(i);
      if (Arrays.equals(handle.shape(), shape)
          && handle.dtype() == dtype
          && handle.device().equals(device)
          && handle.backend().equals(backend)) {
        idle.remove(i);
        return handle;
      }
    }
    return null;
  }

  /** Keeps what nobody uses any more; false if it is to be freed. */
  static boolean keep(Handle handle) {
    Scratch scratch = CURRENT.get();
    return scratch != null
        && handle.isUnread()
        && scratch.idle.size() < CAPACITY
        && Layout.count(handle.shape()) * handle.dtype().bytes() <= MOST_BYTES
        && scratch.idle.add(handle);
  }

  /** Frees what is kept. */
  @Override
  public void close() {
    CURRENT.set(parent);
    idle.forEach(handle -> handle.backend().free(handle.value()));
    idle.clear();
  }
}
