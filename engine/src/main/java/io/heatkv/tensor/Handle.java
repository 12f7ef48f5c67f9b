package io.heatkv.tensor;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A backend's tensor that all {@link Tensor}s share which look at its memory. It is freed with the
 * last of them.
 */
final class Handle {
  private static final long[] NONE = {};

  private final Backend backend;
  private final long value;

  // Keeps mapped memory reachable while a tensor looks at it.
  @SuppressWarnings("UnusedVariable")
  private final @Nullable MemorySegment borrowed;

  // Of a new tensor.
  private final long[] shape;
  // Whether the backend was given it, whose operators may have made tensors of the same memory.
  private boolean read;
  private @Nullable Room room;
  private final AtomicInteger users = new AtomicInteger(1);
  // Asked at first use, perhaps by several threads at once.
  private volatile @Nullable DType dtype;
  private volatile @Nullable Device device;
  private volatile long address;

  /** Of what an operator made. */
  Handle(Backend backend, long value) {
    this.backend = backend;
    this.value = value;
    borrowed = null;
    shape = NONE;
    read = true;
  }

  /** Of memory that the backend doesn't own. */
  Handle(Backend backend, long value, MemorySegment borrowed, DType dtype) {
    this.backend = backend;
    this.value = value;
    this.borrowed = borrowed;
    this.dtype = dtype;
    device = Device.CPU;
    shape = NONE;
    read = true;
  }

  /** Of a new row-major tensor. */
  Handle(Backend backend, long value, DType dtype, Device device, long[] shape) {
    this.backend = backend;
    this.value = value;
    borrowed = null;
    this.dtype = dtype;
    this.device = device;
    this.shape = shape;
  }

  /** Of a new row-major tensor in a room that isn't the backend's, which only own kernels read. */
  Handle(Backend backend, Room room, long address, DType dtype, Device device, long[] shape) {
    this(backend, 0, dtype, device, shape);
    this.room = room;
    this.address = address;
  }

  Backend backend() {
    return backend;
  }

  long value() {
    return value;
  }

  long[] shape() {
    return shape;
  }

  /** For an operator. */
  void read() {
    read = true;
  }

  boolean isUnread() {
    return !read;
  }

  DType dtype() {
    DType known = dtype;
    if (known == null) {
      known = backend.dtype(value);
      dtype = known;
    }
    return known;
  }

  Device device() {
    Device known = device;
    if (known == null) {
      known = backend.device(value);
      device = known;
    }
    return known;
  }

  /** Where its elements begin. */
  long address() {
    long known = address;
    if (known == 0) {
      known = backend.address(value);
      address = known;
    }
    return known;
  }

  /** For one user more, who frees it, too. */
  Handle share() {
    users.incrementAndGet();
    return this;
  }

  void free() {
    if (users.decrementAndGet() > 0) {
      return;
    }
    // Before another takes it.
    users.set(1);
    if (room != null) {
      room.give(address, Layout.count(shape) * dtype().bytes());
      return;
    }
    if (!Scratch.keep(this)) {
      backend.free(value);
    }
  }
}
