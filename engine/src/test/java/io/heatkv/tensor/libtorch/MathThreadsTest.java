package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One libtorch under several callers: its own threads, and the bits of what they compute. */
class MathThreadsTest {
  private static final int CALLERS = 3;
  private static final int ROUNDS = 4;

  private final LibTorch torch = (LibTorch) TestDevice.backend();
  private final long live = torch.liveTensors();
  private final Random random = new Random(1);
  private final Scope shared = Scope.detached();
  private final Tensor x = random(300, 400);
  private final Tensor weight = random(128, 400);
  private final Tensor keys = random(1, 4, 500, 32);
  private final Tensor values = random(1, 4, 500, 32);

  @BeforeEach
  void severalThreads() {
    assertThat(LibTorch.open(torch.location(), 2)).isSameAs(torch);
  }

  @AfterEach
  void asBefore() {
    shared.close();
    assertThat(LibTorch.open(torch.location(), 1).threads()).isEqualTo(1);
    assertThat(torch.liveTensors()).isEqualTo(live);
  }

  /**
   * A product and attention that OpenBLAS rounds otherwise with one thread than with several, and
   * what is between them.
   */
  private float[] compute() {
    try (Scope _ = Scope.open()) {
      Tensor projected = Ops.linear(x, weight, null).reshape(1, 300, 4, 32);
      Tensor queries = Ops.gelu(projected).transpose(1, 2);
      Tensor attended = Ops.attention(queries, keys, values, null, 0.3);
      return Ops.matmul(attended, attended.transpose(2, 3)).toFloats();
    }
  }

  /** A tensor that all callers read. */
  private Tensor random(long... shape) {
    float[] elements = new float[Math.toIntExact(LongStream.of(shape).reduce(1, (a, b) -> a * b))];
    for (int i = 0; i < elements.length; i++) {
      elements[i] = (float) random.nextGaussian();
    }
    try (Scope _ = Scope.open()) {
      return shared.adopt(Tensor.of(torch, elements, shape));
    }
  }

  private static ExecutorService callers(boolean virtual) {
    return virtual
        ? Executors.newVirtualThreadPerTaskExecutor()
        : Executors.newFixedThreadPool(CALLERS);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void callersGetTheBitsThatOneGetsAlone(boolean virtual) throws Exception {
    float[] alone = compute();
    Callable<List<float[]>> caller =
        () -> {
          List<float[]> results = new ArrayList<>();
          for (int i = 0; i < ROUNDS; i++) {
            results.add(compute());
          }
          return results;
        };
    try (ExecutorService callers = callers(virtual)) {
      List<Future<List<float[]>>> all = new ArrayList<>();
      for (int i = 0; i < CALLERS; i++) {
        all.add(callers.submit(caller));
      }
      for (Future<List<float[]>> each : all) {
        assertThat(each.get())
            .hasSize(ROUNDS)
            .allSatisfy(bits -> assertThat(bits).isEqualTo(alone));
      }
    }
  }

  /** Also for a thread that libtorch has given the former number. */
  @Test
  void aSecondOpeningChangesTheNumberForAllCallers() throws Exception {
    try (ExecutorService other = Executors.newSingleThreadExecutor()) {
      for (int wanted : new int[] {2, 4, 2}) {
        assertThat(LibTorch.open(torch.location(), wanted).threads()).isEqualTo(wanted);
        assertThat(used()).containsOnly(wanted);
        assertThat(other.submit(this::used).get()).containsOnly(wanted);
        assertThat(LibTorch.open(torch.location(), 0).threads()).isEqualTo(wanted);
      }
    }
  }

  /** What libtorch and its OpenBLAS use after an operator of each kind. */
  private List<Integer> used() {
    try (Scope _ = Scope.open()) {
      Tensor x = Tensor.full(torch, 1, DType.F32, Device.CPU, 64, 64);
      Tensor heads = x.reshape(1, 1, 64, 64);
      Tensor attended = Ops.attention(heads, heads, heads, null, 1);
      Tensor product = Ops.matmul(x, attended.reshape(64, 64));
      assertThat(product.rank()).isEqualTo(2);
    }
    return NativeThreads.of(torch.location());
  }
}
