package io.heatkv.tensor.libtorch;

import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Tensor;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A device's own kernels, compiled at first use, for all threads. Where the compiler fails once,
 * there are none from then on.
 */
final class CompiledKernels {
  private final Map<DType, CudaKernels> kernels = new EnumMap<>(DType.class);
  private final Map<Heads, MapKernels> maps = new HashMap<>();
  private final Map<Integer, LevelKernels> levels = new HashMap<>();
  private final Map<Heads, SumKernels> sums = new HashMap<>();
  private volatile State state;

  private record Heads(DType dtype, int dim) {}

  /** Replaced as a whole: a thread must not find one without the other. */
  private record State(
      @Nullable KernelLauncher launcher,
      @Nullable SmallAttention attention,
      @Nullable FloatAttention floats,
      String description) {
    static State without(CudaCompiler.Unavailable reason) {
      return new State(
          null,
          null,
          null,
          "composed operators, slower than own kernels (" + reason.getMessage() + ")");
    }
  }

  CompiledKernels(LibTorch torch, Cuda cuda, int device) {
    State found;
    try {
      int capability = cuda.capability(device);
      KernelLauncher launcher = new KernelLauncher(torch, cuda, device);
      boolean isAmpere = capability >= SmallAttention.LEAST_CAPABILITY;
      found =
          new State(
              launcher,
              isAmpere ? new SmallAttention(launcher) : null,
              isAmpere ? new FloatAttention(launcher) : null,
              "own kernels for sm_" + capability);
    } catch (CudaCompiler.Unavailable e) {
      found = State.without(e);
    }
    state = found;
  }

  /**
   * Begins to compile what layers of a type and heads surely take, see {@link DeviceOps#prepare}.
   */
  void prepare(DType dtype, int dim) {
    KernelLauncher launcher = state.launcher;
    if (launcher != null) {
      // Norms before the logits are float32 in any type.
      Stream.of(DType.F32, dtype)
          .distinct()
          .forEach(type -> launcher.begin(CudaKernels.wanted(launcher, type)));
      if (state.attention != null && SmallAttention.takes(dtype, dim)) {
        launcher.begin(SmallAttention.wanted(launcher, dtype, dim));
      }
      if (state.floats != null && FloatAttention.takes(dtype, dim)) {
        launcher.begin(FloatAttention.wanted(launcher, dim));
      }
    }
  }

  /** Kernels for a type of activations, or null where there are none. */
  synchronized @Nullable CudaKernels of(DType dtype) {
    KernelLauncher launcher = state.launcher;
    if (launcher == null || !dtype.isFloating() || dtype == DType.F64) {
      return null;
    }
    CudaKernels known = kernels.get(dtype);
    if (known == null) {
      try {
        known = CudaKernels.load(launcher, dtype);
        kernels.put(dtype, known);
      } catch (CudaCompiler.Unavailable e) {
        state = State.without(e);
      }
    }
    return known;
  }

  /**
   * Kernels of stored maps for a type of keys and values and heads of so many channels.
   *
   * @throws UserException if there are none
   */
  synchronized MapKernels maps(DType dtype, int dim) {
    KernelLauncher launcher = state.launcher;
    Heads heads = new Heads(dtype, dim);
    MapKernels known = maps.get(heads);
    if (known == null && launcher != null) {
      try {
        known = MapKernels.load(launcher, state.attention, dtype, dim);
        maps.put(heads, known);
      } catch (CudaCompiler.Unavailable e) {
        state = State.without(e);
      }
    }
    if (known == null) {
      throw new UserException(
          "a KV cache in few bits needs compiled kernels on CUDA, but there are only "
              + state.description
              + "; choose another policy or KV store, or the CPU");
    }
    return known;
  }

  /** Kernels that measure levels of heads of so many channels, or null where there are none. */
  synchronized @Nullable LevelKernels levels(int dim) {
    State now = state;
    if (now.launcher == null || now.attention == null || !LevelKernels.takes(dim)) {
      return null;
    }
    LevelKernels known = levels.get(dim);
    if (known == null) {
      try {
        known = LevelKernels.load(now.launcher, dim);
        levels.put(dim, known);
      } catch (CudaCompiler.Unavailable e) {
        state = State.without(e);
      }
    }
    return known;
  }

  /** Kernels of column sums for a type and heads of so many channels, or null for none. */
  synchronized @Nullable SumKernels sums(DType dtype, int dim) {
    State now = state;
    if (now.launcher == null || now.attention == null || !SmallAttention.takes(dtype, dim)) {
      return null;
    }
    Heads heads = new Heads(dtype, dim);
    SumKernels known = sums.get(heads);
    if (known == null) {
      try {
        known = SumKernels.load(now.launcher, dtype, dim);
        sums.put(heads, known);
      } catch (CudaCompiler.Unavailable e) {
        state = State.without(e);
      }
    }
    return known;
  }

  /**
   * Attention over both sets of keys, see {@link SmallAttention#attend} and {@link
   * FloatAttention#attend}, or null where another kernel is better.
   */
  @Nullable Tensor attend(
      Tensor q,
      SmallAttention.@Nullable Keys earlier,
      SmallAttention.Keys current,
      double scale,
      @Nullable Tensor lse) {
    if (q.dtype() == DType.F32) {
      return earlier != null || FloatAttention.suits(q)
          ? attendFloats(q, earlier, current, scale, lse)
          : null;
    }
    long keys = current.count() + (earlier == null ? 0 : earlier.count());
    return SmallAttention.suits(q, keys) ? attendAny(q, earlier, current, null, scale, lse) : null;
  }

  /** As {@link SmallAttention#attend}, or null where there is no kernel. */
  @Nullable Tensor attendAny(
      Tensor q,
      SmallAttention.@Nullable Keys earlier,
      SmallAttention.Keys current,
      @Nullable AttentionParts before,
      double scale,
      @Nullable Tensor lse) {
    SmallAttention attention = state.attention;
    if (attention == null) {
      return null;
    }
    try {
      return attention.attend(q, earlier, current, before, scale, lse);
    } catch (CudaCompiler.Unavailable e) {
      state = State.without(e);
      return null;
    }
  }

  /** As {@link FloatAttention#attend}, or null where there is no kernel. */
  @Nullable Tensor attendFloats(
      Tensor q,
      SmallAttention.@Nullable Keys earlier,
      SmallAttention.Keys current,
      double scale,
      @Nullable Tensor lse) {
    FloatAttention attention = state.floats;
    if (attention == null || !FloatAttention.takes(q)) {
      return null;
    }
    try {
      return attention.attend(q, earlier, current, scale, lse);
    } catch (CudaCompiler.Unavailable e) {
      state = State.without(e);
      return null;
    }
  }

  String description() {
    return state.description;
  }
}
