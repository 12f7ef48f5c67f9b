package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.error.UserException;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Functions of libtorch's stable C ABI, one handle each (torch/csrc/stable/c/shim.h and
 * torch/csrc/inductor/aoti_torch/c/shim.h). All return 0 for success unless said otherwise.
 */
final class StableAbi {
  private static final FunctionDescriptor ADD_TENSOR =
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_DOUBLE, ADDRESS);
  private static final FunctionDescriptor ADD_SCALAR =
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_DOUBLE, JAVA_DOUBLE, ADDRESS);
  private static final FunctionDescriptor MUL_SCALAR =
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_DOUBLE, ADDRESS);

  private final SymbolLookup symbols;

  final long version;
  final MethodHandle callDispatcher;
  final MethodHandle newHandle;
  final MethodHandle deleteTensor;
  final MethodHandle newList;
  final MethodHandle pushBack;
  final MethodHandle listItem;
  final MethodHandle deleteList;
  final MethodHandle newString;
  final MethodHandle emptyStrided;
  final MethodHandle fromBlob;
  final MethodHandle view;
  final MethodHandle copy;
  final MethodHandle fill;
  final MethodHandle dataPointer;
  final MethodHandle dimensions;
  final MethodHandle sizes;
  final MethodHandle strides;
  final MethodHandle dtype;
  final MethodHandle deviceType;
  final MethodHandle deviceIndex;
  final MethodHandle threads;
  final @Nullable MethodHandle setThreads;
  final @Nullable OpenBlas openBlas;
  final PointwiseFunctions pointwise;
  final MethodHandle malloc;
  private final @Nullable MethodHandle errorText;
  final @Nullable MethodHandle newOptional;

  StableAbi(SymbolLookup symbols, LibTorchLocation location) {
    this.symbols = symbols;
    MemorySegment abiVersion = symbols.find("aoti_torch_abi_version").orElse(MemorySegment.NULL);
    String found = abiVersion.address() == 0 ? "of unknown version" : "";
    if (abiVersion.address() != 0) {
      version = longValue(link(abiVersion, FunctionDescriptor.of(JAVA_LONG)));
      found = versionText(version);
    } else {
      version = 0;
    }
    if (symbols.find("torch_call_dispatcher").isEmpty()) {
      throw new UserException(
          "libtorch "
              + found
              + " in "
              + location.folder()
              + " is too old; use libtorch 2.10 or newer");
    }
    callDispatcher =
        function(
            "torch_call_dispatcher",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG));
    newHandle =
        function(
            "aoti_torch_new_tensor_handle", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    deleteTensor =
        function("aoti_torch_delete_tensor_object", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    newList =
        function(
            "torch_new_list_reserve_size", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    pushBack =
        function("torch_list_push_back", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    listItem =
        function(
            "torch_list_get_item", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS));
    deleteList = function("torch_delete_list", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    newString =
        function(
            "torch_new_string_handle",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS));
    emptyStrided =
        function(
            "aoti_torch_empty_strided",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    fromBlob =
        function(
            "aoti_torch_create_tensor_from_blob",
            FunctionDescriptor.of(
                JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT,
                JAVA_INT, ADDRESS));
    view =
        function(
            "aoti_torch__reinterpret_tensor",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS));
    copy =
        function(
            "aoti_torch_copy_", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    fill =
        function(
            "aoti_torch_aten_fill__Scalar",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_DOUBLE));
    dataPointer = getter("aoti_torch_get_data_ptr");
    dimensions = getter("aoti_torch_get_dim");
    sizes = getter("aoti_torch_get_sizes");
    strides = getter("aoti_torch_get_strides");
    dtype = getter("aoti_torch_get_dtype");
    deviceType = getter("aoti_torch_get_device_type");
    deviceIndex = getter("aoti_torch_get_device_index");
    threads = function("torch_get_num_threads", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    setThreads = setThreads();
    openBlas = openBlas();
    pointwise = new PointwiseFunctions(this);
    malloc = NativeLibraries.libc("malloc", FunctionDescriptor.of(ADDRESS, JAVA_LONG));
    // From 2.13 on; older versions print the reason to standard error.
    errorText =
        optional("torch_exception_get_what_without_backtrace", FunctionDescriptor.of(ADDRESS));
    newOptional = optional("torch_new_stable_ivalue", FunctionDescriptor.of(JAVA_INT, ADDRESS));
  }

  /** Scalar functions of one device, which the dispatcher can't call. */
  record Scalars(MethodHandle addTensor, MethodHandle addScalar, MethodHandle mulScalar) {}

  /**
   * @param device cpu or cuda
   */
  Scalars scalars(String device) {
    String prefix = "aoti_torch_" + device;
    return new Scalars(
        function(prefix + "_add_Tensor", ADD_TENSOR),
        function(prefix + "_add_Scalar", ADD_SCALAR),
        function(prefix + "_mul_Scalar", MUL_SCALAR));
  }

  /** The C++ function {@code at::set_num_threads(int)}: the C ABI has only its counterpart. */
  private @Nullable MethodHandle setThreads() {
    FunctionDescriptor ofInt = FunctionDescriptor.ofVoid(JAVA_INT);
    MethodHandle itanium = optional("_ZN2at15set_num_threadsEi", ofInt);
    return itanium != null ? itanium : optional("?set_num_threads@at@@YAXH@Z", ofInt);
  }

  /**
   * Functions of OpenBLAS about its threads.
   *
   * @param setThreads takes their number
   * @param threads returns it
   * @param kind of threads, see {@link MathThreads}
   */
  record OpenBlas(MethodHandle setThreads, MethodHandle threads, MethodHandle kind) {}

  /** Null where another library multiplies matrices. */
  private @Nullable OpenBlas openBlas() {
    FunctionDescriptor toInt = FunctionDescriptor.of(JAVA_INT);
    return has("openblas_set_num_threads")
        ? new OpenBlas(
            function("openblas_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT)),
            function("openblas_get_num_threads", toInt),
            function("openblas_get_parallel", toInt))
        : null;
  }

  /** The value of a constant such as {@code aoti_torch_dtype_float32}. */
  int constant(String name) {
    return intValue(function(name, FunctionDescriptor.of(JAVA_INT)));
  }

  /**
   * Why the calling thread's last call failed, with a colon before it; empty where it isn't told.
   */
  String reason() {
    if (errorText == null) {
      return "";
    }
    try {
      MemorySegment text = (MemorySegment) errorText.invokeExact();
      if (text.address() == 0) {
        return "";
      }
      String whole = text.reinterpret(Long.MAX_VALUE).getString(0).strip();
      return ": " + whole.lines().findFirst().orElse("");
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * @param code that a function of the calling thread returned
   * @throws TensorException if it isn't 0
   */
  void check(int code, String what) {
    if (code != 0) {
      throw new TensorException(what + " failed" + reason());
    }
  }

  boolean has(String name) {
    return symbols.find(name).isPresent();
  }

  MethodHandle function(String name, FunctionDescriptor descriptor) {
    return link(
        symbols
            .find(name)
            .orElseThrow(() ->
                new UserException(
                    "libtorch lacks the function " + name + "; use libtorch 2.10 or newer")),
        descriptor);
  }

  @Nullable MethodHandle optional(String name, FunctionDescriptor descriptor) {
    Optional<MemorySegment> symbol = symbols.find(name);
    return symbol.isEmpty() ? null : link(symbol.get(), descriptor);
  }

  private MethodHandle getter(String name) {
    return function(name, FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
  }

  private static MethodHandle link(MemorySegment symbol, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(symbol, descriptor);
  }

  /** "2.10.0" of the version number's top three bytes. */
  static String versionText(long version) {
    return (version >>> 56) + "." + (version >>> 48 & 0xff) + "." + (version >>> 40 & 0xff);
  }

  private static int intValue(MethodHandle function) {
    try {
      return (int) function.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static long longValue(MethodHandle function) {
    try {
      return (long) function.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Layout of a pointer to {@code count} 64-bit numbers. */
  static MemoryLayout longs(long count) {
    return MemoryLayout.sequenceLayout(count, ValueLayout.JAVA_LONG);
  }
}
