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

  private final Handle base;
  // Elements before the first one's place in the base.
  private final long offset;
  // The backend's handle; 0 for a view that no operator has read yet.
  private volatile long handle;

  // Asked at first use, perhaps by several threads at once: what they find must be whole.
  private @Nullable Layout layout;
  private @Nullable Scope scope;
  private int place;

  private Tensor(Handle base, long offset, long handle, @Nullable Layout layout) {
    this.base = base;
    this.offset = offset;
    this.handle = handle;
    this.layout = layout;
    try {
      Scope.current().add(this);
    } catch (IllegalStateException e) {
      // Nobody would free it.
      base.free();
      throw e;
    }
  }

  private static Tensor of(Handle made, @Nullable Layout layout) {
    return new Tensor(made, 0, made.value(), layout);
  }

  /** Takes over a handle that {@code backend} made; it belongs to the innermost open scope. */
  public static Tensor of(Backend backend, long handle) {
    return of(new Handle(backend, handle), null);
  }

  /** A new row-major tensor with undefined content. */
  public static Tensor empty(Backend backend, DType dtype, Device device, long... shape) {
    return of(Scratch.allocate(backend, dtype, device, shape), Layout.rowMajor(shape));
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
    long bytes = Math.multiplyExact(Layout.count(shape), (long) dtype.bytes());
    if (memory.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "%d bytes don't hold %s of %s"
              .formatted(memory.byteSize(), Arrays.toString(shape), dtype));
    }
    long made = backend.wrap(memory, dtype, shape);
    return of(new Handle(backend, made, memory, dtype), Layout.rowMajor(shape));
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
    if (elements != Layout.count(shape)) {
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
    return Layout.count(sizes());
  }

  /** Bytes of all elements. */
  public long bytes() {
    return count() * dtype().bytes();
  }

  public DType dtype() {
    return base.dtype();
  }

  public Device device() {
    return base.device();
  }

  public Backend backend() {
    return base.backend();
  }

  /**
   * The backend's handle; only backends use it.
   *
   * @throws IllegalStateException if the tensor was freed
   */
  public long handle() {
    scope();
    Scratch.requireReadable();
    base.read();
    long known = handle;
    return known != 0 ? known : viewed();
  }

  /** Views that only own kernels read, by their addresses, need no handle. */
  private synchronized long viewed() {
    if (handle == 0) {
      handle = backend().view(base.value(), sizes(), strides(), offset);
    }
    return handle;
  }

  /**
   * Where the elements begin, in the memory of their device; 0 if there are none. Only backends use
   * it.
   *
   * @throws IllegalStateException if the tensor was freed
   */
  public long address() {
    scope();
    return count() == 0 ? 0 : base.address() + offset * dtype().bytes();
  }

  private long[] sizes() {
    return layout().sizes();
  }

  private Layout layout() {
    Layout known = layout;
    if (known == null) {
      known = new Layout(backend().shape(handle), backend().strides(handle));
      layout = known;
    }
    return known;
  }

  /**
   * Elements from one index of dimension {@code dim} to the next; negative counts from the last.
   */
  public long stride(int dim) {
    return strides()[dim < 0 ? dim + rank() : dim];
  }

  private long[] strides() {
    return layout().strides();
  }

  /** Whether elements lie row-major without gaps. */
  public boolean isContiguous() {
    return layout().isRowMajor();
  }

  // ---- views and copies

  /** The same memory seen otherwise, without a call of the backend. */
  private Tensor view(Layout seen, long further) {
    scope();
    return new Tensor(base.share(), offset + further, 0, seen);
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
    return view(new Layout(sizes, strides()), start * strides()[at]);
  }

  /** The slice at {@code index} of dimension {@code dim}, without that dimension; a view. */
  public Tensor select(int dim, long index) {
    int at = dimension(dim, rank());
    if (index < 0 || index >= sizes()[at]) {
      throw new TensorException(
          "element %d of dimension %d of %s doesn't exist".formatted(index, at, this));
    }
    return view(layout().without(at), index * strides()[at]);
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
    return view(Layout.rowMajor(known), 0);
  }

  /** Dimensions in another order; a view. */
  public Tensor permute(long... dims) {
    if (dims.length != rank()) {
      throw new TensorException(
          Arrays.toString(dims) + " is no order of the dimensions of " + this);
    }
    int[] from = new int[dims.length];
    Arrays.setAll(from, i -> dimension((int) dims[i], dims.length));
    return view(layout().permuted(from), 0);
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
    return view(layout().with(at), 0);
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
    Tensor copy = empty(backend(), dtype(), target, sizes());
    backend().copy(copy, this);
    return copy;
  }

  // ---- arithmetic

  /** {@code this + other}, broadcast. */
  public Tensor add(Tensor other) {
    return of(backend(), backend().add(this, other, 1));
  }

  /** {@code this - other}, broadcast. */
  public Tensor sub(Tensor other) {
    return of(backend(), backend().add(this, other, -1));
  }

  /** {@code this + alpha * other}, broadcast. */
  public Tensor addScaled(Tensor other, double alpha) {
    return of(backend(), backend().add(this, other, alpha));
  }

  /** {@code this * other}, broadcast. */
  public Tensor mul(Tensor other) {
    return call(MUL, this, other);
  }

  /** {@code this * factor}. */
  public Tensor mul(double factor) {
    return of(backend(), backend().scale(this, factor));
  }

  /** {@code this + summand}. */
  public Tensor add(double summand) {
    return of(backend(), backend().shift(this, summand));
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
    backend().copy(this, source);
    return this;
  }

  // ---- elements

  /** The memory of a contiguous CPU tensor; valid while the tensor lives. */
  public MemorySegment memory() {
    if (device().isCuda() || !isContiguous()) {
      throw new IllegalStateException("only contiguous CPU tensors show their memory");
    }
    return backend().memory(this);
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
    if (handle != 0 && handle != base.value()) {
      backend().free(handle);
    }
    base.free();
  }

  Tensor call(Operator operator, Object... arguments) {
    return of(backend(), backend().call(operator, arguments));
  }

  /** Type, shape and device. */
  @Override
  public String toString() {
    return dtype() + Arrays.toString(sizes()) + (device().isCuda() ? "@" + device() : "");
  }
}
