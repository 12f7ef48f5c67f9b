package io.heatkv.weights;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Hands out a checkpoint's tensors and owns them.
 *
 * <p>On the CPU a tensor that is stored in the type asked for stays a view of the mapped file;
 * others are converted once.
 */
public final class Weights implements AutoCloseable {
  private final Checkpoint checkpoint;
  private final Backend backend;
  private final Device device;
  private final Scope owned = Scope.detached();
  // Copies under way, and what they read.
  private final List<Runnable> copies = new ArrayList<>();
  private final Scope sources = Scope.detached();

  /**
   * @throws UserException if the device can't be used
   */
  public Weights(Checkpoint checkpoint, Backend backend, Device device) {
    backend.require(device);
    this.checkpoint = checkpoint;
    this.backend = backend;
    this.device = device;
  }

  /** The tensor of that name as it is stored. */
  public Tensor stored(String name) {
    TensorEntry entry = checkpoint.entry(name);
    try (Scope _ = Scope.open()) {
      return owned.adopt(wrap(backend, entry, checkpoint).to(device));
    }
  }

  /** The tensor of that name, in the shape stored. */
  public Tensor get(String name, DType dtype) {
    TensorEntry entry = checkpoint.entry(name);
    try (Scope _ = Scope.open()) {
      return owned.adopt(wrap(backend, entry, checkpoint).to(dtype).to(device));
    }
  }

  /**
   * As {@link #get}, but a device may fetch it while others are asked for: its elements are there
   * once {@link #await} has returned.
   */
  public Tensor later(String name, DType dtype) {
    // Many converted ones would fill the host's memory.
    return dtype(checkpoint.entry(name), checkpoint) == dtype
        ? storedLater(name)
        : get(name, dtype);
  }

  /** As {@link #stored}, for large tensors likewise. */
  public Tensor storedLater(String name) {
    try (Scope _ = Scope.open()) {
      Tensor source = wrap(backend, checkpoint.entry(name), checkpoint);
      if (source.device().equals(device)) {
        return owned.adopt(source);
      }
      Tensor target = owned.adopt(Tensor.empty(backend, source.dtype(), device, source.shape()));
      copies.add(backend.copyLater(target, sources.adopt(source)));
      return target;
    }
  }

  /**
   * Waits for the tensors that were to come later.
   *
   * @throws io.heatkv.tensor.TensorException if a copy failed
   */
  public void await() {
    try {
      copies.forEach(Runnable::run);
    } finally {
      copies.clear();
    }
  }

  /** The tensor in float32, its elements rounded to {@code through} first. */
  public Tensor rounded(String name, DType through) {
    TensorEntry entry = checkpoint.entry(name);
    try (Scope _ = Scope.open()) {
      return owned.adopt(wrap(backend, entry, checkpoint).to(through).to(DType.F32).to(device));
    }
  }

  /** Several tensors joined along their first dimension. */
  public Tensor joined(DType dtype, String... names) {
    try (Scope _ = Scope.open()) {
      Tensor[] parts = new Tensor[names.length];
      for (int i = 0; i < names.length; i++) {
        parts[i] = wrap(backend, checkpoint.entry(names[i]), checkpoint).to(dtype).to(device);
      }
      return owned.adopt(Ops.cat(0, parts));
    }
  }

  /** Takes over a tensor that was derived from others. */
  public Tensor adopt(Tensor tensor) {
    return owned.adopt(tensor);
  }

  /** A float32 constant that lives as long as the weights. */
  public Tensor constant(float[] elements, long... shape) {
    try (Scope _ = Scope.open()) {
      return owned.adopt(Tensor.of(backend, elements, shape).to(device));
    }
  }

  /** A float32 constant of one element. */
  public Tensor constant(double value) {
    return constant(new float[] {(float) value}, 1);
  }

  public Backend backend() {
    return backend;
  }

  public Device device() {
    return device;
  }

  /**
   * A CPU tensor over an entry's bytes, in the innermost open scope.
   *
   * @throws UserException if the engine has no such element type
   */
  public static Tensor wrap(Backend backend, TensorEntry entry, Checkpoint checkpoint) {
    return Tensor.wrap(backend, entry.bytes(), dtype(entry, checkpoint), entry.shape());
  }

  private static DType dtype(TensorEntry entry, Checkpoint checkpoint) {
    StorageType stored = entry.dtype();
    return switch (stored) {
      case F64 -> DType.F64;
      case F32 -> DType.F32;
      case F16 -> DType.F16;
      case BF16 -> DType.BF16;
      case I64 -> DType.I64;
      case I32 -> DType.I32;
      case U8 -> DType.U8;
      case BOOL -> DType.BOOL;
      default ->
          throw new UserException(
              checkpoint.path()
                  + ": tensor "
                  + entry.name()
                  + " is "
                  + stored
                  + "; expected a floating-point, int32, int64 or uint8 tensor");
    };
  }

  /** Frees the tensors; the checkpoint stays open. */
  @Override
  public void close() {
    for (Runnable copy : copies) {
      try {
        copy.run();
      } catch (RuntimeException _) {
        // Nobody reads it any more.
      }
    }
    sources.close();
    owned.close();
  }
}
