package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What opening libtorch leaves of a process as it was, and what tuning it changes. */
class HostTest {
  private static final List<String> VARIABLES =
      List.of(
          "OMP_NUM_THREADS",
          "MKL_NUM_THREADS",
          "OPENBLAS_NUM_THREADS",
          "GOTO_NUM_THREADS",
          "GOMP_SPINCOUNT",
          "OPENBLAS_THREAD_TIMEOUT",
          "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
          "DNNL_PRIMITIVE_CACHE_CAPACITY",
          "NVIDIA_TF32_OVERRIDE",
          "PYTORCH_CUDA_ALLOC_CONF",
          "PYTORCH_ALLOC_CONF");

  /** A process of its own that tunes itself or not, opens libtorch or not, and tells of itself. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) throws Throwable {
      List<String> wanted = List.of(arguments);
      if (wanted.contains("early")) {
        endsEarly();
      }
      if (wanted.contains("tuned")) {
        HostTuning.apply();
      }
      if (wanted.contains("open")) {
        LibTorchLocation location = LibTorchLocation.find(null, CacheFolder.locate());
        LibTorch torch = LibTorch.open(location, wanted.contains("two") ? 2 : 0);
        try (Scope _ = Scope.open()) {
          Tensor x = Tensor.full(torch, 1, DType.F32, Device.CPU, 64, 64);
          Ops.matmul(x, x).release();
        }
        System.out.println("threads=" + torch.threads());
        List<Integer> own = NativeThreads.of(location);
        System.out.println("openblas=" + own.getLast());
      }
      for (String name : VARIABLES) {
        NativeThreads.variable(name).ifPresent(value -> System.out.println(name + "=" + value));
      }
    }
  }

  /** Ends with a handler that aborts, registered before ours as those of libraries are. */
  private static void endsEarly() throws Throwable {
    Linker linker = Linker.nativeLinker();
    SymbolLookup symbols = linker.defaultLookup();
    MethodHandle register =
        linker.downcallHandle(
            symbols.findOrThrow("on_exit"), FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    assertThat((int) register.invokeExact(symbols.findOrThrow("abort"), MemorySegment.NULL))
        .isZero();
    HostTuning.endEarly();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook=ran")));
    System.exit(3);
  }

  private static Map<String, String> child(
      Map<String, String> environment, int processors, String... arguments)
      throws IOException, InterruptedException {
    return child(0, environment, processors, arguments);
  }

  private static Map<String, String> child(
      int status, Map<String, String> environment, int processors, String... arguments)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-XX:ActiveProcessorCount=" + processors,
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().keySet().removeAll(VARIABLES);
    builder.environment().putAll(environment);
    Process process = builder.start();
    Map<String, String> told = new TreeMap<>();
    process
        .inputReader()
        .lines()
        .forEach(line -> told.put(line.split("=", 2)[0], line.split("=", 2)[1]));
    assertThat(process.waitFor()).isEqualTo(status);
    return told;
  }

  /** Java's hooks run and its status counts, but handlers of libraries no longer do. */
  @Test
  void aProcessEndsBeforeHandlersOfLibraries() throws Exception {
    assumeThat(Linker.nativeLinker().defaultLookup().find("on_exit")).isPresent();
    assertThat(child(3, Map.of(), 1, "early")).isEqualTo(Map.of("hook", "ran"));
  }

  /** Of "NAME=value NAME=value". */
  private static Map<String, String> variables(String text) {
    return Stream.of(text.split(" "))
        .filter(each -> !each.isEmpty())
        .map(each -> each.split("=", 2))
        .collect(Collectors.toMap(each -> each[0], each -> each[1]));
  }

  /** Without tuning, the environment stays and the threads are those allowed, or the user's. */
  @ParameterizedTest
  @CsvSource({
    "'', 1, 1, 1",
    "OMP_NUM_THREADS=1, 64, 1, 1",
    "OMP_NUM_THREADS=3, 1, 3,",
    "OPENBLAS_NUM_THREADS=1, 64,, 1",
  })
  void openingSetsThreadsAndNothingElse(
      String environment, int processors, @Nullable String threads, @Nullable String openBlas)
      throws Exception {
    Map<String, String> told = child(variables(environment), processors, "open");
    String ofTorch = told.remove("threads");
    if (threads != null) {
      assertThat(ofTorch).isEqualTo(threads);
    }
    String ofLibrary = told.remove("openblas");
    if (openBlas != null
        && LibTorchLocation.find(null, CacheFolder.locate()).files().contains("libopenblas.so.0")) {
      assertThat(ofLibrary).isEqualTo(openBlas);
    }
    assertThat(told).isEqualTo(variables(environment));
  }

  /**
   * What a program asks for counts, also where it is libtorch's number and OpenBLAS has another.
   */
  @Test
  void aNumberOfThreadsIsOneForBothLibraries() throws Exception {
    Map<String, String> told =
        child(variables("OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1"), 2, "open", "two");
    assertThat(told).containsEntry("threads", "2");
    if (LibTorchLocation.find(null, CacheFolder.locate()).files().contains("libopenblas.so.0")) {
      assertThat(told).containsEntry("openblas", "2");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          '' | OPENBLAS_NUM_THREADS=1 GOMP_SPINCOUNT=1000 OPENBLAS_THREAD_TIMEOUT=8 \
          ONEDNN_PRIMITIVE_CACHE_CAPACITY=256 NVIDIA_TF32_OVERRIDE=0 \
          PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
          OMP_NUM_THREADS=3 GOMP_SPINCOUNT=7 NVIDIA_TF32_OVERRIDE=1 PYTORCH_ALLOC_CONF=a:b \
          | OPENBLAS_THREAD_TIMEOUT=8 ONEDNN_PRIMITIVE_CACHE_CAPACITY=256
          GOTO_NUM_THREADS=3 OPENBLAS_THREAD_TIMEOUT=9 PYTORCH_CUDA_ALLOC_CONF=a:b \
          DNNL_PRIMITIVE_CACHE_CAPACITY=1024 \
          | GOMP_SPINCOUNT=1000 NVIDIA_TF32_OVERRIDE=0
          OPENBLAS_NUM_THREADS=3 MKL_NUM_THREADS=2 PYTORCH_CUDA_ALLOC_CONF= \
          ONEDNN_PRIMITIVE_CACHE_CAPACITY=0 \
          | GOMP_SPINCOUNT=1000 OPENBLAS_THREAD_TIMEOUT=8 NVIDIA_TF32_OVERRIDE=0
          """)
  void tuningKeepsTheUsersValues(String environment, String added) throws Exception {
    Map<String, String> expected = new TreeMap<>(variables(environment));
    expected.putAll(variables(added));
    assertThat(child(variables(environment), 1, "tuned")).isEqualTo(expected);
  }
}
