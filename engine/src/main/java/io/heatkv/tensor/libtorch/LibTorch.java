package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.DeviceTrace;
import io.heatkv.tensor.Operator;
import io.heatkv.tensor.PlainOps;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * libtorch as a {@link Backend}. One instance serves all threads of a process.
 *
 * <p>Opening it changes nothing of the process but what is loaded: no environment variables and no
 * settings of the C library ({@link HostTuning} has those), and other libraries don't get to see
 * its symbols. It sets the threads of this libtorch and its OpenBLAS only. No tensor requires
 * gradients, so that a thread's grad mode is of no account and stays as it is.
 *
 * <p>float32 is computed in float32: convolutions are told so in each call. Matrix products have no
 * such argument; libtorch's default for them is exact.
 */
public final class LibTorch implements Backend {
  private static @Nullable LibTorch opened;

  private final LibTorchLocation location;
  private final StableAbi abi;
  private final Constants constants;
  private final Metadata metadata;
  private final StableAbi.Scalars cpu;
  private final StableAbi.@Nullable Scalars cudaScalars;
  private final @Nullable Cuda cuda;
  private final @Nullable PinnedCopies pinned;
  private final MathThreads threads;
  private final AtomicLong live = new AtomicLong();
  private volatile boolean isSegmentKindKnown;
  private final ConcurrentHashMap<Operator, MemorySegment[]> names = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<Device, DeviceOps> ops = new ConcurrentHashMap<>();
  private final ThreadLocal<CallFrame> frames;

  private LibTorch(LibTorchLocation location) {
    this.location = location;
    this.abi = new StableAbi(NativeLibraries.open(location), location);
    this.constants = new Constants(abi);
    this.metadata = new Metadata(abi, constants);
    this.cpu = abi.scalars("cpu");
    this.cudaScalars = location.hasCuda() ? abi.scalars("cuda") : null;
    this.cuda = location.hasCuda() ? new Cuda(abi) : null;
    this.pinned = cuda == null ? null : new PinnedCopies(abi, cuda);
    this.threads = new MathThreads(abi);
    this.frames = ThreadLocal.withInitial(() -> new CallFrame(abi, constants));
  }

  /**
   * The process's libtorch, opened at the first call; later calls return the same one.
   *
   * @param location of its files
   * @param threads that an operator on the CPU uses, for all callers from now on; pictures are the
   *     same with any. 0 leaves the number as it is: at first one for each of the processor's cores
   *     that this process may use, or what the user's {@code OMP_NUM_THREADS} and the like say
   * @throws UserException if it can't be opened, is older than 2.10, another one is open, or it
   *     can't be told the number of threads
   */
  public static synchronized LibTorch open(LibTorchLocation location, int threads) {
    if (opened == null) {
      opened = new LibTorch(location);
    } else if (!opened.location.folder().equals(location.folder())) {
      throw new UserException(
          "libtorch of "
              + opened.location.folder()
              + " is already open in this process; start another process for "
              + location.folder());
    }
    if (threads > 0) {
      opened.threads.set(threads);
    }
    return opened;
  }

  /** Where its files lie. */
  public LibTorchLocation location() {
    return location;
  }

  /** Version such as 2.10.0. */
  public String version() {
    return StableAbi.versionText(abi.version);
  }

  /** Version number of the stable ABI, as libtorch gives it. */
  public String abi() {
    return "0x%016x".formatted(abi.version);
  }

  @Override
  public int threads() {
    return threads.count();
  }

  @Override
  public boolean hasOneDnn() {
    return abi.pointwise.hasOneDnn();
  }

  @Override
  public boolean hasAvx512() {
    return Processor.hasAvx512();
  }

  @Override
  public boolean multipliesBf16() {
    return Processor.multipliesBf16();
  }

  /** Names of the CUDA devices that this libtorch can use, by their numbers. */
  public List<String> cudaDevices() {
    return cuda == null ? List.of() : cuda.names();
  }

  @Override
  public long call(Operator operator, Object... arguments) {
    CallFrame frame = frames.get();
    invoke(frame, operator, arguments);
    live.incrementAndGet();
    return frame.result(0);
  }

  @Override
  public long[] callMany(Operator operator, int results, Object... arguments) {
    CallFrame frame = frames.get();
    invoke(frame, operator, arguments);
    long[] handles = new long[results];
    for (int i = 0; i < results; i++) {
      handles[i] = frame.result(i);
    }
    live.addAndGet(results);
    return handles;
  }

  private void invoke(CallFrame frame, Operator operator, Object[] arguments) {
    MemorySegment[] name = names.computeIfAbsent(operator, LibTorch::cStrings);
    try {
      frame.fill(arguments);
      if (dispatch(operator, name, frame) != 0) {
        throw new TensorException(failure(operator, arguments));
      }
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  private int dispatch(Operator operator, MemorySegment[] name, CallFrame frame) throws Throwable {
    threads.enter(operator.products());
    try {
      threads.apply(frame.out());
      return (int) abi.callDispatcher.invokeExact(name[0], name[1], frame.stack(), abi.version);
    } finally {
      threads.leave(operator.products());
    }
  }

  private static MemorySegment[] cStrings(Operator operator) {
    Arena arena = Arena.global();
    return new MemorySegment[] {
      arena.allocateFrom(operator.name()), arena.allocateFrom(operator.overload())
    };
  }

  String failure(Operator operator, Object... arguments) {
    StringBuilder text = new StringBuilder(operator + " failed on (");
    for (int i = 0; i < arguments.length; i++) {
      text.append(i == 0 ? "" : ", ").append(CallFrame.describe(arguments[i]));
    }
    return text.append(')').append(abi.reason()).toString();
  }

  /** Room for a result of what the calling thread computes without the dispatcher. */
  private MemorySegment computing() {
    MemorySegment out = frames.get().out();
    threads.apply(out);
    return out;
  }

  @Override
  public long add(Tensor a, Tensor b, double alpha) {
    MemorySegment out = computing();
    try {
      int code = (int) scalars(a, b).addTensor().invokeExact(a.handle(), b.handle(), alpha, out);
      return created(code, out, Operators.ADD, a, b, alpha);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long shift(Tensor a, double summand) {
    MemorySegment out = computing();
    try {
      int code = (int) scalars(a, a).addScalar().invokeExact(a.handle(), summand, 1.0, out);
      return created(code, out, Operators.ADD, a, summand);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long scale(Tensor a, double factor) {
    MemorySegment out = computing();
    try {
      int code = (int) scalars(a, a).mulScalar().invokeExact(a.handle(), factor, out);
      return created(code, out, Operators.MUL, a, factor);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  private StableAbi.Scalars scalars(Tensor a, Tensor b) {
    return cudaScalars != null && (a.device().isCuda() || b.device().isCuda()) ? cudaScalars : cpu;
  }

  @Override
  public long linear(Tensor x, Tensor weight, @Nullable Tensor bias, boolean gelu) {
    MemorySegment out = computing();
    int code = abi.pointwise.linear(frames.get(), x, weight, bias, gelu);
    return created(code, out, Operators.ONEDNN_LINEAR, x, weight, Backend.Optional.of(bias), gelu);
  }

  @Override
  public void gelu(Tensor x) {
    MemorySegment ignored = computing();
    if (!abi.pointwise.gelu(x)) {
      free(call(Operators.GELU_, x, "tanh"));
    }
  }

  @Override
  public void fill(Tensor a, double value) {
    MemorySegment ignored = computing();
    try {
      abi.check((int) abi.fill.invokeExact(a.handle(), value), "fill of " + a);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void copy(Tensor target, Tensor source) {
    copyLater(target, source).run();
  }

  @Override
  public Runnable copyLater(Tensor target, Tensor source) {
    CompletableFuture<Boolean> staged = pinned == null ? null : pinned.begin(this, target, source);
    if (staged == null) {
      copyNow(target, source);
      return () -> {};
    }
    return () -> {
      if (!StagedCopy.await(staged)) {
        copyNow(target, source);
      }
    };
  }

  private void copyNow(Tensor target, Tensor source) {
    MemorySegment ignored = computing();
    try {
      if ((int) abi.copy.invokeExact(target.handle(), source.handle(), 0) != 0) {
        throw new TensorException(failure(Operators.COPY, target, source));
      }
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long empty(DType dtype, Device device, long... shape) {
    if (!device.isCuda() || isSegmentKindKnown) {
      return allocated(dtype, device, shape);
    }
    // The first allocation finds out which segments the driver grants; a second one meanwhile
    // fails.
    synchronized (this) {
      long first = allocated(dtype, device, shape);
      isSegmentKindKnown = true;
      return first;
    }
  }

  private long allocated(DType dtype, Device device, long[] shape) {
    CallFrame frame = frames.get();
    MemorySegment out = frame.out();
    MemorySegment sizes = frame.sizes(shape);
    MemorySegment strides = frame.rowMajorStrides(shape);
    try {
      int code =
          (int)
              abi.emptyStrided.invokeExact(
                  (long) shape.length,
                  sizes,
                  strides,
                  constants.code(dtype),
                  constants.code(device.type()),
                  device.index(),
                  out);
      if (code != 0) {
        throw new UserException(
            device
                + " has no memory for "
                + dtype
                + Arrays.toString(shape)
                + abi.reason()
                + "; draw fewer pictures at once, smaller ones, or with a smaller KV budget");
      }
      live.incrementAndGet();
      return out.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long wrap(MemorySegment memory, DType dtype, long... shape) {
    CallFrame frame = frames.get();
    MemorySegment out = frame.out();
    try {
      int code =
          (int)
              abi.fromBlob.invokeExact(
                  memory,
                  (long) shape.length,
                  frame.sizes(shape),
                  frame.rowMajorStrides(shape),
                  0L,
                  constants.code(dtype),
                  constants.code(Device.Type.CPU),
                  0,
                  out);
      abi.check(code, "view of memory as " + dtype + Arrays.toString(shape));
      live.incrementAndGet();
      return out.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long view(long handle, long[] shape, long[] strides, long offset) {
    CallFrame frame = frames.get();
    MemorySegment out = frame.out();
    try {
      int code =
          (int)
              abi.view.invokeExact(
                  handle,
                  (long) shape.length,
                  frame.sizes(shape),
                  frame.strides(strides),
                  offset,
                  out);
      abi.check(code, "view as " + Arrays.toString(shape));
      live.incrementAndGet();
      return out.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public MemorySegment memory(Tensor tensor) {
    return MemorySegment.ofAddress(tensor.address())
        .reinterpret(tensor.count() * tensor.dtype().bytes());
  }

  @Override
  public long[] shape(long handle) {
    return metadata.shape(handle, frames.get().out());
  }

  @Override
  public long[] strides(long handle) {
    return metadata.strides(handle, frames.get().out());
  }

  @Override
  public DType dtype(long handle) {
    return metadata.dtype(handle, frames.get().out());
  }

  @Override
  public Device device(long handle) {
    return cuda == null ? Device.CPU : metadata.device(handle, frames.get().out());
  }

  @Override
  public long address(long handle) {
    return metadata.address(handle, frames.get().out());
  }

  @Override
  public void free(long handle) {
    delete(handle);
    live.decrementAndGet();
  }

  /** A tensor of a handle that a function of libtorch returned. */
  Tensor created(long handle) {
    live.incrementAndGet();
    return Tensor.of(this, handle);
  }

  /** Frees a handle that never became a tensor. */
  void delete(long handle) {
    try {
      abi.check((int) abi.deleteTensor.invokeExact(handle), "freeing a tensor");
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void synchronize(Device device) {
    if (device.isCuda()) {
      cuda(device).synchronize(device.index());
    }
  }

  @Override
  public void require(Device device) {
    if (device.isCuda()) {
      cuda(device).require(device);
    }
  }

  @Override
  public DeviceMemory memory(Device device) {
    return cuda(device).memory(device.index());
  }

  @Override
  public @Nullable DeviceTrace trace(Device device) {
    return device.isCuda() ? CudaTrace.start(abi, cuda(device), device.index()) : null;
  }

  private Cuda cuda(Device device) {
    if (cuda == null) {
      throw new UserException(
          "device %s needs a CUDA build of libtorch, %s is a CPU build; name a PyTorch's …/torch/lib with %s, or use device cpu"
              .formatted(device, description(), LibTorchLocation.VARIABLE));
    }
    return cuda;
  }

  @Override
  public DeviceOps ops(Device device) {
    return ops.computeIfAbsent(
        device,
        key -> key.isCuda() ? new CudaOps(this, abi, cuda(key), key.index()) : new PlainOps());
  }

  @Override
  public long liveTensors() {
    return live.get();
  }

  @Override
  public String description() {
    return "libtorch " + version() + " (" + location.source() + ")";
  }

  private long created(int code, MemorySegment out, Operator operator, Object... arguments) {
    if (code != 0) {
      throw new TensorException(failure(operator, arguments));
    }
    live.incrementAndGet();
    return out.get(JAVA_LONG, 0);
  }

  /** Method handles declare Throwable; only unchecked ones can occur. */
  static RuntimeException rethrow(Throwable e) {
    return switch (e) {
      case RuntimeException known -> known;
      case Error error -> throw error;
      default -> new IllegalStateException(e);
    };
  }
}
