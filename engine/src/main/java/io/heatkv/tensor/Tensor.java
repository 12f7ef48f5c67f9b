package io.heatkv.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * An n-dimensional array in native memory, owned by a {@link Scope}.
 *
 * <p>Methods that return a tensor put it into the innermost open scope of the calling thread. Views
 * share memory with their source and may outlive it. Neural-network functions are in {@link Ops}.
 */
public final class Tensor {
  private static final Operator MUL = Operator.of("mul", "Tensor");
  private static final Operator MUL_ = Operator.of("mul_", "Tensor");
  private static final Operator DIV = Operator.of("div", "Tensor");
  private static final Operator RESHAPE = Operator.of("reshape");
  private static final Operator EXPAND = Operator.of("expand");
  private static final Operator CONTIGUOUS = Operator.of("clone");
  private static final Operator TO_DTYPE = Operator.of("to", "dtype");

  private final Backend backend;
  private final long handle;

  // Keeps mapped memory reachable while a tensor looks at it.
  @SuppressWarnings("UnusedVariable")
  private final @Nullable MemorySegment borrowed;

  // Asked at first use, perhaps by several threads at once: what they find must be whole.
  private @Nullable Layout layout;
  private @Nullable DType dtype;
  private @Nullable Scope scope;
  private int place;

  /** Final fields: a thread that sees the object sees what is in the arrays. */
  private record Layout(long[] sizes, long[] strides) {}

  private Tensor(Backend backend, long handle, @Nullable MemorySegment borrowed) {
    this.backend = backend;
    this.handle = handle;
    this.borrowed = borrowed;
    try {
      Scope.current().add(this);
    } catch (IllegalStateException e) {
      // Nobody would free it.
      backend.free(handle);
      throw e;
    }
  }

  /** Takes over a handle that {@code backend} made; it belongs to the innermost open scope. */
  public static Tensor of(Backend backend, long handle) {
    return new Tensor(backend, handle, null);
  }

  /** A new row-major tensor with undefined content. */
  public static Tensor empty(Backend backend, DType dtype, Device device, long... shape) {
    return of(backend, backend.empty(dtype, device, shape));
  }

  /** A new tensor filled with {@code value}. */
  public static Tensor full(
      Backend backend, double value, DType dtype, Device device, long... shape) {
    Tensor tensor = empty(backend, dtype, device, shape);
    backend.fill(tensor, value);
    return tensor;
  }

  /** A CPU tensor over {@code memory} without a copy; the memory must stay mapped meanwhile. */
  public static Tensor wrap(Backend backend, MemorySegment memory, DType dtype, long... shape) {
    long bytes = Math.multiplyExact(count(shape), (long) dtype.bytes());
    if (memory.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "%d bytes don't hold %s of %s"
              .formatted(memory.byteSize(), Arrays.toString(shape), dtype));
    }
    return new Tensor(backend, backend.wrap(memory, dtype, shape), memory);
  }

  /** A float32 CPU tensor with the given elements, row-major. */
  public static Tensor of(Backend backend, float[] elements, long... shape) {
    Tensor tensor = empty(backend, DType.F32, Device.CPU, shape);
    checkCount(elements.length, shape);
    MemorySegment.copy(elements, 0, tensor.memory(), ValueLayout.JAVA_FLOAT, 0, elements.length);
    return tensor;
  }

  /** An int64 CPU tensor with the given elements, row-major. */
  public static Tensor of(Backend backend, long[] elements, long... shape) {
    Tensor tensor = empty(backend, DType.I64, Device.CPU, shape);
    checkCount(elements.length, shape);
    MemorySegment.copy(elements, 0, tensor.memory(), ValueLayout.JAVA_LONG, 0, elements.length);
    return tensor;
  }

  /** An int32 CPU tensor with the given elements, row-major. */
  public static Tensor of(Backend backend, int[] elements, long... shape) {
    Tensor tensor = empty(backend, DType.I32, Device.CPU, shape);
    checkCount(elements.length, shape);
    MemorySegment.copy(elements, 0, tensor.memory(), ValueLayout.JAVA_INT, 0, elements.length);
    return tensor;
  }

  private static void checkCount(int elements, long[] shape) {
    if (elements != count(shape)) {
      throw new IllegalArgumentException(
          "%d elements don't fill %s".formatted(elements, Arrays.toString(shape)));
    }
  }

  // ---- what it is

  /** Sizes of the dimensions; a copy. */
  public long[] shape() {
    return sizes().clone();
  }

  /** Size of dimension {@code dim}; negative counts from the last. */
  public long size(int dim) {
    long[] sizes = sizes();
    return sizes[dim < 0 ? dim + sizes.length : dim];
  }

  /** Number of dimensions. */
  public int rank() {
    return sizes().length;
  }

  /** Number of elements. */
  public long count() {
    return count(sizes());
  }

  /** Bytes of all elements. */
  public long bytes() {
    return count() * dtype().bytes();
  }

  public DType dtype() {
    DType known = dtype;
    if (known == null) {
      known = backend.dtype(handle);
      dtype = known;
    }
    return known;
  }

  public Device device() {
    return backend.device(handle);
  }

  public Backend backend() {
    return backend;
  }

  /**
   * The backend's handle; only backends use it.
   *
   * @throws IllegalStateException if the tensor was freed
   */
  public long handle() {
    scope();
    return handle;
  }

  private long[] sizes() {
    return layout().sizes;
  }

  private Layout layout() {
    Layout known = layout;
    if (known == null) {
      known = new Layout(backend.shape(handle), backend.strides(handle));
      layout = known;
    }
    return known;
  }

  private static long count(long[] shape) {
    long count = 1;
    for (long size : shape) {
      count = Math.multiplyExact(count, size);
    }
    return count;
  }

  /**
   * Elements from one index of dimension {@code dim} to the next; negative counts from the last.
   */
  public long stride(int dim) {
    return strides()[dim < 0 ? dim + rank() : dim];
  }

  private long[] strides() {
    return layout().strides;
  }

  /** Whether elements lie row-major without gaps. */
  public boolean isContiguous() {
    long[] strides = strides();
    long[] sizes = sizes();
    long expected = 1;
    for (int i = sizes.length - 1; i >= 0 && expected > 0; i--) {
      if (sizes[i] > 1 && strides[i] != expected) {
        return false;
      }
      expected *= sizes[i];
    }
    return true;
  }

  // ---- views and copies

  /** The same memory seen otherwise. Made here, since an operator call costs several times more. */
  private Tensor view(long[] sizes, long[] newStrides, long offset) {
    Tensor view = of(backend, backend.view(handle(), sizes, newStrides, offset));
    view.layout = new Layout(sizes, newStrides);
    view.dtype = dtype;
    return view;
  }

  private int dimension(int dim, int rank) {
    int index = dim < 0 ? dim + rank : dim;
    if (index < 0 || index >= rank) {
      throw new TensorException("dimension " + dim + " of " + this + " doesn't exist");
    }
    return index;
  }

  /** Elements {@code start .. start+length-1} of dimension {@code dim}; a view. */
  public Tensor narrow(int dim, long start, long length) {
    int at = dimension(dim, rank());
    if (start < 0 || length < 0 || start + length > sizes()[at]) {
      throw new TensorException(
          "elements %d to %d of dimension %d of %s don't exist"
              .formatted(start, start + length - 1, at, this));
    }
    long[] sizes = shape();
    sizes[at] = length;
    return view(sizes, strides(), start * strides()[at]);
  }

  /** The slice at {@code index} of dimension {@code dim}, without that dimension; a view. */
  public Tensor select(int dim, long index) {
    int at = dimension(dim, rank());
    if (index < 0 || index >= sizes()[at]) {
      throw new TensorException(
          "element %d of dimension %d of %s doesn't exist".formatted(index, at, this));
    }
    return view(without(sizes(), at), without(strides(), at), index * strides()[at]);
  }

  private static long[] without(long[] values, int at) {
    long[] rest = new long[values.length - 1];
    System.arraycopy(values, 0, rest, 0, at);
    System.arraycopy(values, at + 1, rest, at, rest.length - at);
    return rest;
  }

  /** The same elements in another shape; one size may be -1. A view where possible. */
  public Tensor reshape(long... sizes) {
    if (!isContiguous() || count() == 0) {
      return call(RESHAPE, this, sizes);
    }
    long[] known = sizes.clone();
    long rest = 1;
    int open = -1;
    for (int i = 0; i < known.length; i++) {
      if (known[i] == -1 && open < 0) {
        open = i;
      } else {
        rest *= known[i];
      }
    }
    if (open >= 0 && rest != 0) {
      known[open] = count() / rest;
      rest *= known[open];
    }
    if (rest != count()) {
      // The operator says what is wrong.
      return call(RESHAPE, this, sizes);
    }
    long[] rowMajor = new long[known.length];
    long stride = 1;
    for (int i = known.length - 1; i >= 0; i--) {
      rowMajor[i] = stride;
      stride *= known[i];
    }
    return view(known, rowMajor, 0);
  }

  /** Dimensions in another order; a view. */
  public Tensor permute(long... dims) {
    if (dims.length != rank()) {
      throw new TensorException(
          Arrays.toString(dims) + " is no order of the dimensions of " + this);
    }
    long[] sizes = new long[dims.length];
    long[] steps = new long[dims.length];
    for (int i = 0; i < dims.length; i++) {
      int from = dimension((int) dims[i], dims.length);
      sizes[i] = sizes()[from];
      steps[i] = strides()[from];
    }
    return view(sizes, steps, 0);
  }

  /** Swaps two dimensions; a view. */
  public Tensor transpose(int a, int b) {
    long[] dims = new long[rank()];
    Arrays.setAll(dims, i -> i);
    int x = dimension(a, dims.length);
    int y = dimension(b, dims.length);
    dims[x] = y;
    dims[y] = x;
    return permute(dims);
  }

  /** Repeats dimensions of size 1 without copying; a view. */
  public Tensor expand(long... sizes) {
    return call(EXPAND, this, sizes, false);
  }

  /** Inserts a dimension of size 1; a view. */
  public Tensor unsqueeze(int dim) {
    int at = dimension(dim, rank() + 1);
    long[] sizes = new long[rank() + 1];
    long[] steps = new long[rank() + 1];
    for (int i = 0; i < sizes.length; i++) {
      int from = i < at ? i : i - 1;
      sizes[i] = i == at ? 1 : sizes()[from];
      steps[i] = i == at ? 1 : strides()[from];
    }
    return view(sizes, steps, 0);
  }

  /** This tensor if row-major, else a row-major copy. */
  public Tensor contiguous() {
    // Memory format 0 is torch's contiguous_format.
    return isContiguous() ? this : call(CONTIGUOUS, this, Backend.Optional.of(0L));
  }

  /** A row-major copy. */
  public Tensor copy() {
    return call(CONTIGUOUS, this, Backend.Optional.of(0L));
  }

  /** This tensor if it has that type, else a converted copy. */
  public Tensor to(DType type) {
    return dtype() == type ? this : call(TO_DTYPE, this, type, false, false, Backend.Optional.NONE);
  }

  /** This tensor if it lives there, else a copy. */
  public Tensor to(Device target) {
    if (device().equals(target)) {
      return this;
    }
    Tensor copy = empty(backend, dtype(), target, sizes());
    backend.copy(copy, this);
    return copy;
  }

  // ---- arithmetic

  /** {@code this + other}, broadcast. */
  public Tensor add(Tensor other) {
    return of(backend, backend.add(this, other, 1));
  }

  /** {@code this - other}, broadcast. */
  public Tensor sub(Tensor other) {
    return of(backend, backend.add(this, other, -1));
  }

  /** {@code this + alpha * other}, broadcast. */
  public Tensor addScaled(Tensor other, double alpha) {
    return of(backend, backend.add(this, other, alpha));
  }

  /** {@code this * other}, broadcast. */
  public Tensor mul(Tensor other) {
    return call(MUL, this, other);
  }

  /** {@code this * factor}. */
  public Tensor mul(double factor) {
    return of(backend, backend.scale(this, factor));
  }

  /** {@code this + summand}. */
  public Tensor add(double summand) {
    return of(backend, backend.shift(this, summand));
  }

  /** {@code this / other}, broadcast. */
  public Tensor div(Tensor other) {
    return call(DIV, this, other);
  }

  /** {@code this *= other}, broadcast; returns this. */
  public Tensor mulInPlace(Tensor other) {
    call(MUL_, this, other).release();
    return this;
  }

  /** {@code this <- source}, broadcast, with conversion of type and device; returns this. */
  public Tensor copyFrom(Tensor source) {
    backend.copy(this, source);
    return this;
  }

  // ---- elements

  /** The memory of a contiguous CPU tensor; valid while the tensor lives. */
  public MemorySegment memory() {
    if (device().isCuda() || !isContiguous()) {
      throw new IllegalStateException("only contiguous CPU tensors show their memory");
    }
    return backend.memory(this);
  }

  /** All elements as float32, row-major. */
  public float[] toFloats() {
    try (Scope _ = Scope.open()) {
      return to(DType.F32).to(Device.CPU).contiguous().memory().toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** All elements as float64, row-major. */
  public double[] toDoubles() {
    try (Scope _ = Scope.open()) {
      return to(DType.F64).to(Device.CPU).contiguous().memory().toArray(ValueLayout.JAVA_DOUBLE);
    }
  }

  /** All elements as bytes, row-major; for {@link DType#U8} and {@link DType#BOOL}. */
  public byte[] toBytes() {
    try (Scope _ = Scope.open()) {
      return to(DType.U8).to(Device.CPU).contiguous().memory().toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /** All elements as int32, row-major; for bool and integer types. */
  public int[] toInts() {
    try (Scope _ = Scope.open()) {
      return to(DType.I32).to(Device.CPU).contiguous().memory().toArray(ValueLayout.JAVA_INT);
    }
  }

  /** Frees this tensor before its scope does. */
  public void release() {
    scope().remove(this);
    free();
  }

  // ---- ownership

  Scope scope() {
    if (scope == null) {
      throw new IllegalStateException("the tensor was freed");
    }
    return scope;
  }

  int place() {
    return place;
  }

  void moveTo(Scope target, int index) {
    scope = target;
    place = index;
  }

  void free() {
    scope = null;
    backend.free(handle);
  }

  Tensor call(Operator operator, Object... arguments) {
    return of(backend, backend.call(operator, arguments));
  }

  /** Type, shape and device. */
  @Override
  public String toString() {
    return dtype() + Arrays.toString(sizes()) + (device().isCuda() ? "@" + device() : "");
  }
}
