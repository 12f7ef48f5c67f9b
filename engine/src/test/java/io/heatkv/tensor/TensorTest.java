package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Element types, shared memory, scopes, and the messages of failing operators. */
class TensorTest {
  private final Backend backend = TestDevice.backend();
  private final Device device = TestDevice.device();
  private long live;

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Random bit patterns of finite floats, so that all magnitudes occur. */
  private static float[] floats(long seed, int count) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      do {
        values[i] = Float.intBitsToFloat(random.nextInt());
      } while (!Float.isFinite(values[i]) || Math.abs(values[i]) > 1e30f);
    }
    return values;
  }

  @Test
  void halfTypesRoundToNearestEven() {
    float[] values = floats(21, 5000);
    float[] half = new float[values.length];
    float[] brain = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      half[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
      int bits = Float.floatToIntBits(values[i]);
      brain[i] = Float.intBitsToFloat(bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000);
    }
    try (Scope _ = Scope.open()) {
      Tensor tensor = Tensor.of(backend, values, values.length).to(device);
      assertThat(tensor.to(DType.F16).toFloats()).as("seed 21").isEqualTo(half);
      assertThat(tensor.to(DType.BF16).toFloats()).as("seed 21").isEqualTo(brain);
      assertThat(tensor.to(DType.F64).to(DType.F32).toFloats()).isEqualTo(values);
      for (DType type : new DType[] {DType.F16, DType.BF16, DType.F64}) {
        assertThat(tensor.to(type).dtype()).isEqualTo(type);
      }
    }
  }

  @Test
  void wholeNumbersSurviveEveryTypeThatHoldsThem() {
    long[] numbers = {0, 1, 2, 127, 128, 255};
    try (Scope _ = Scope.open()) {
      Tensor tensor = Tensor.of(backend, numbers, 2, 3).to(device);
      for (DType type : DType.values()) {
        if (type != DType.BOOL) {
          double[] back = tensor.to(type).to(DType.I64).to(DType.F64).toDoubles();
          assertThat(back).as(type.toString()).containsExactly(0, 1, 2, 127, 128, 255);
        }
      }
      assertThat(tensor.to(DType.BOOL).toBytes()).containsExactly(0, 1, 1, 1, 1, 1);
      int[] negative = {Integer.MIN_VALUE, -1, Integer.MAX_VALUE};
      assertThat(Tensor.of(backend, negative, 3).toDoubles())
          .containsExactly(-0x1p31, -1, 0x1p31 - 1);
    }
  }

  /** More than any address space holds. */
  @Test
  void tooLittleMemoryIsSaidInOneLine() {
    try (Scope _ = Scope.open()) {
      assertThatThrownBy(() -> Tensor.empty(backend, DType.F32, device, 1L << 46))
          .isInstanceOf(UserException.class)
          .hasMessageStartingWith(device + " has no memory for fp32[70368744177664]")
          .hasMessageNotContaining("\n");
    }
  }

  @Test
  void wrappedMemoryIsSharedBothWays() {
    try (Arena arena = Arena.ofConfined();
        Scope _ = Scope.open()) {
      MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4, 5, 6);
      Tensor tensor = Tensor.wrap(backend, memory, DType.F32, 2, 3);
      assertThat(tensor.memory().address()).isEqualTo(memory.address());
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, 4, 50);
      assertThat(tensor.select(0, 1).toFloats()).containsExactly(4, 50, 6);
      backend.fill(tensor.select(0, 0), 9);
      assertThat(memory.toArray(ValueLayout.JAVA_FLOAT)).containsExactly(9, 9, 9, 4, 50, 6);
      assertThatThrownBy(() -> Tensor.wrap(backend, memory, DType.F32, 2, 2))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("24 bytes");
    }
  }

  @Test
  void viewsShareAndCopiesDoNot() {
    try (Scope _ = Scope.open()) {
      Tensor tensor = Tensor.of(backend, new float[] {1, 2, 3, 4, 5, 6}, 2, 3).to(device);
      Tensor turned = tensor.transpose(0, 1);
      assertThat(turned.isContiguous()).isFalse();
      Tensor copy = turned.contiguous();
      backend.fill(tensor.narrow(1, 1, 1), 0);
      assertThat(turned.toFloats()).containsExactly(1, 4, 0, 0, 3, 6);
      assertThat(copy.toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
    }
  }

  @Test
  void failuresNameTheOperatorAndTheShapes() {
    try (Scope _ = Scope.open()) {
      Tensor a = Tensor.full(backend, 1, DType.F32, device, 2, 3);
      Tensor b = Tensor.full(backend, 1, DType.BF16, device, 4, 5);
      assertThatThrownBy(() -> Ops.matmul(a, b))
          .isInstanceOf(TensorException.class)
          .hasMessageContainingAll("aten::matmul", "fp32[2, 3]", "bf16[4, 5]");
      assertThatThrownBy(() -> a.add(Tensor.full(backend, 1, DType.F32, device, 7)))
          .isInstanceOf(TensorException.class)
          .hasMessageContainingAll("add", "fp32[2, 3]", "fp32[7]");
      assertThatThrownBy(() -> a.reshape(4, 5))
          .isInstanceOf(TensorException.class)
          .hasMessageContainingAll("aten::reshape", "fp32[2, 3]", "[4, 5]");
      assertThatThrownBy(() -> a.copyFrom(b))
          .isInstanceOf(TensorException.class)
          .hasMessageContainingAll("copy", "fp32[2, 3]", "bf16[4, 5]");
      // The thread is usable afterwards.
      assertThat(a.add(a).toFloats()).containsOnly(2);
    }
  }

  @Test
  void scopesFreeWhatTheyOwnAndKeepWhatIsKept() {
    try (Scope outer = Scope.open()) {
      Tensor kept;
      try (Scope inner = Scope.open()) {
        Tensor dropped = Tensor.full(backend, 1, DType.F32, device, 3);
        kept = inner.keep(dropped.add(1));
        assertThat(backend.liveTensors()).isEqualTo(live + 2);
      }
      assertThat(backend.liveTensors()).isEqualTo(live + 1);
      assertThat(kept.toFloats()).containsOnly(2);
      assertThatThrownBy(() -> outer.keep(kept)).isInstanceOf(IllegalStateException.class);
      kept.release();
      assertThat(backend.liveTensors()).isEqualTo(live);
      assertThatThrownBy(kept::handle).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void scopesFreeAfterAnError() {
    assertThatThrownBy(
            () -> {
              try (Scope _ = Scope.open();
                  Scope _ = Scope.open()) {
                Tensor a = Tensor.full(backend, 1, DType.F32, device, 2, 3);
                Ops.matmul(a, a);
              }
            })
        .isInstanceOf(TensorException.class);
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  @Test
  void detachedScopesOutliveTheStack() {
    Scope detached = Scope.detached();
    Tensor tensor;
    try (Scope _ = Scope.open()) {
      tensor = detached.adopt(Tensor.full(backend, 4, DType.F32, device, 1));
    }
    assertThat(backend.liveTensors()).isEqualTo(live + 1);
    try (Scope _ = Scope.open()) {
      assertThat(tensor.toFloats()).containsExactly(4);
    }
    detached.close();
    detached.close();
    try (Scope _ = Scope.open()) {
      Tensor late = Tensor.full(backend, 1, DType.F32, device, 1);
      assertThatThrownBy(() -> detached.adopt(late)).isInstanceOf(IllegalStateException.class);
    }
    assertThatThrownBy(() -> Tensor.full(backend, 1, DType.F32, device, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("no open Scope");
  }
}
