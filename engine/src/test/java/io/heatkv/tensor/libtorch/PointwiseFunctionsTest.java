package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.TestDevice;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.Backend.Optional;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Operator;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Linear layers and GELU on the CPU against float64, and what a call of them leaves behind. */
class PointwiseFunctionsTest {
  private static final int ROWS = 19;

  private final LibTorch torch = (LibTorch) TestDevice.backend();
  private final Random random = new Random(7);

  private double[] gaussians(int count) {
    double[] numbers = new double[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return numbers;
  }

  private Tensor tensor(double[] numbers, long... shape) {
    float[] elements = new float[numbers.length];
    for (int i = 0; i < elements.length; i++) {
      elements[i] = (float) numbers[i];
    }
    return Tensor.of(torch, elements, shape);
  }

  private static double gelu(double x) {
    return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
  }

  @ParameterizedTest
  @CsvSource({
    "24, 40, true, true",
    "24, 40, true, false",
    "64, 16, false, true",
    "64, 16, false, false",
  })
  void oneDnnsLayersAreProducts(int depth, int width, boolean hasBias, boolean isGelu) {
    assumeTrue(torch.hasOneDnn());
    double[] x = gaussians(ROWS * depth);
    double[] weight = gaussians(width * depth);
    double[] bias = hasBias ? gaussians(width) : new double[width];
    try (Scope _ = Scope.open()) {
      Tensor in = tensor(x, ROWS, depth);
      Tensor factors = tensor(weight, width, depth);
      Tensor summand = hasBias ? tensor(bias, width) : null;
      float[] linear =
          Tensor.of(torch, torch.linear(in, factors, summand, isGelu)).contiguous().toFloats();
      Tensor pixels =
          Tensor.of(
              torch,
              torch.linear(
                  in.reshape(1, ROWS, 1, depth).permute(0, 3, 1, 2),
                  factors.reshape(width, 1, 1, depth).permute(0, 3, 1, 2),
                  summand,
                  isGelu));
      float[] convolution = pixels.permute(0, 2, 3, 1).contiguous().toFloats();
      for (int row = 0; row < ROWS; row++) {
        for (int column = 0; column < width; column++) {
          double sum = bias[column];
          for (int i = 0; i < depth; i++) {
            sum += x[row * depth + i] * weight[column * depth + i];
          }
          double expected = isGelu ? gelu(sum) : sum;
          int at = row * width + column;
          assertThat((double) linear[at]).isCloseTo(expected, within(1e-4));
          assertThat((double) convolution[at]).isCloseTo(expected, within(1e-4));
        }
      }
    }
  }

  /** GELU's last bits are an implementation's own; these are libtorch's by another way. */
  @Test
  void bitsAreThoseOfTheDispatcher() {
    assumeTrue(torch.hasOneDnn());
    try (Scope _ = Scope.open()) {
      Tensor x = tensor(gaussians(ROWS * 32), 1, 32, ROWS, 1);
      Tensor weight = tensor(gaussians(48 * 32), 48, 32, 1, 1);
      Tensor bias = tensor(gaussians(48), 48);
      long[] none = {};
      Tensor pixels =
          Tensor.of(
              torch,
              torch.call(
                  new Operator("mkldnn::_convolution_pointwise", "", Operator.Products.NONE),
                  x,
                  weight,
                  Optional.of(bias),
                  new long[] {0, 0},
                  new long[] {1, 1},
                  new long[] {1, 1},
                  1L,
                  "gelu",
                  none,
                  Optional.of("tanh")));
      Tensor convolved = Tensor.of(torch, torch.linear(x, weight, bias, true));
      assertThat(convolved.toFloats()).isEqualTo(pixels.toFloats());
      Tensor rows = x.reshape(ROWS, 32);
      Tensor factors = weight.reshape(48, 32);
      Tensor product =
          Tensor.of(
              torch,
              torch.call(
                  Operators.ONEDNN_LINEAR,
                  rows,
                  factors,
                  Optional.of(bias),
                  "gelu",
                  none,
                  Optional.of("tanh")));
      Tensor linear = Tensor.of(torch, torch.linear(rows, factors, bias, true));
      assertThat(linear.toFloats()).isEqualTo(product.toFloats());
      Tensor dispatched = rows.copy();
      torch.free(torch.call(Operators.GELU_, dispatched, "tanh"));
      torch.gelu(rows);
      assertThat(rows.toFloats()).isEqualTo(dispatched.toFloats());
    }
  }

  @Test
  void geluIsTheTanhApproximationInPlace() {
    double[] x = gaussians(1000);
    try (Scope _ = Scope.open()) {
      for (DType type : List.of(DType.F32, DType.F64, DType.BF16)) {
        Tensor in = tensor(x, x.length).to(type);
        double[] rounded = in.toDoubles();
        torch.gelu(in);
        double[] out = in.toDoubles();
        for (int i = 0; i < x.length; i++) {
          double tolerance = type == DType.BF16 ? 0.01 * Math.abs(rounded[i]) + 1e-5 : 1e-6;
          assertThat(out[i]).isCloseTo(gelu(rounded[i]), within(tolerance));
        }
      }
    }
  }

  /** A process that only calls linear layers and GELU, without a compiler, which takes memory. */
  static final class Child {
    private static final int CALLS = 20_000;

    private Child() {}

    public static void main(String[] arguments) {
      LibTorch torch = LibTorch.open(LibTorchLocation.find(null, CacheFolder.locate()), 1);
      try (Scope _ = Scope.open()) {
        Tensor x = Tensor.full(torch, 0.5, DType.F32, Device.CPU, 16, 16);
        call(x, CALLS / 10);
        long before = inUse();
        call(x, CALLS);
        System.out.println((inUse() - before) / CALLS);
      }
    }

    private static void call(Tensor x, int count) {
      for (int i = 0; i < count; i++) {
        try (Scope _ = Scope.open()) {
          Tensor y = Ops.linear(x, x, null);
          y = Ops.linearGelu(y, x, null);
          y = Ops.geluInPlace(y);
          y.release();
        }
      }
    }

    /** Bytes that malloc has handed out: the field uordblks of glibc's mallinfo2. */
    private static long inUse() {
      Linker linker = Linker.nativeLinker();
      MethodHandle function =
          linker.downcallHandle(
              linker.defaultLookup().findOrThrow("mallinfo2"),
              FunctionDescriptor.of(
                  MemoryLayout.structLayout(
                      MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG))));
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment told = (MemorySegment) function.invoke((SegmentAllocator) arena);
        return told.getAtIndex(ValueLayout.JAVA_LONG, 7);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Through the dispatcher each of the calls would leave 48 bytes for each of its texts. */
  @Test
  void callsLeaveNoMemoryBehind() throws Exception {
    assumeTrue(torch.hasOneDnn());
    assumeTrue(Linker.nativeLinker().defaultLookup().find("mallinfo2").isPresent());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xint",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    List<String> told = process.inputReader().lines().toList();
    assertThat(process.waitFor()).isZero();
    assertThat(told)
        .singleElement()
        .satisfies(each -> assertThat(Long.parseLong(each)).isLessThan(8));
  }
}
