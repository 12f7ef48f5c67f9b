package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which memory is given to the next tensor, and which never is. */
class ScratchTest {
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

  private Tensor empty(long... shape) {
    return Tensor.empty(backend, DType.F32, device, shape);
  }

  @Test
  void theNextOfTheSameShapeTakesWhatWasFreed() {
    try (Scope _ = Scope.open();
        Scratch _ = Scratch.open()) {
      Tensor first = empty(3, 5);
      long address = first.address();
      Tensor view = first.narrow(0, 1, 2);
      first.release();
      assertThat(empty(3, 5).address()).as("a view looks at it").isNotEqualTo(address);
      view.release();
      long made = backend.liveTensors();
      assertThat(Tensor.empty(backend, DType.I32, device, 3, 5).address()).isNotEqualTo(address);
      assertThat(empty(5, 3).address()).isNotEqualTo(address);
      assertThat(backend.liveTensors()).isEqualTo(made + 2);
      Tensor next = empty(3, 5);
      assertThat(next.address()).isEqualTo(address);
      assertThat(backend.liveTensors()).isEqualTo(made + 2);
      assertThat(next.shape()).containsExactly(3, 5);
      assertThat(next.dtype()).isEqualTo(DType.F32);
      assertThat(next.copyFrom(Tensor.full(backend, 2, DType.F32, device, 5)).toFloats())
          .containsOnly(2)
          .hasSize(15);
    }
  }

  /** An operator's result may be the same memory, of which nobody here knows. */
  @Test
  void whatAnOperatorReadIsNotTaken() {
    try (Scope _ = Scope.open();
        Scratch _ = Scratch.open()) {
      Tensor read = Tensor.full(backend, 1, DType.F32, device, 1, 4);
      Tensor seen = read.expand(3, 4);
      read.release();
      for (int i = 0; i < 5; i++) {
        Tensor _ = Tensor.full(backend, 9, DType.F32, device, 1, 4);
      }
      assertThat(seen.toFloats()).containsOnly(1);
      Tensor viewed = empty(2, 2);
      Tensor row = viewed.select(0, 0);
      row.copyFrom(Tensor.full(backend, 3, DType.F32, device, 1));
      long address = viewed.address();
      Tensor sum = row.add(0);
      viewed.release();
      row.release();
      long before = backend.liveTensors();
      Tensor other = empty(2, 2);
      assertThat(backend.liveTensors()).as("made by the backend").isEqualTo(before + 1);
      assertThat(other.shape()).containsExactly(2, 2);
      assertThat(sum.toFloats()).containsOnly(3);
      assertThat(address).isNotZero();
    }
  }

  @Test
  void nothingIsKeptBeyondItAndItKeepsLittle() {
    try (Scope _ = Scope.open()) {
      empty(7).release();
      long before = backend.liveTensors();
      try (Scratch _ = Scratch.open()) {
        empty(7).release();
        assertThat(backend.liveTensors()).isEqualTo(before + 1);
        try (Scratch _ = Scratch.open()) {
          empty(7).release();
          assertThat(backend.liveTensors()).isEqualTo(before + 2);
        }
        assertThat(backend.liveTensors()).isEqualTo(before + 1);
        empty(Scratch.MOST_BYTES / 4 + 1).release();
        assertThat(backend.liveTensors()).as("too large").isEqualTo(before + 1);
        for (int i = 1; i <= 100; i++) {
          empty(i + 10).release();
        }
        assertThat(backend.liveTensors()).isBetween(before + 1, before + 40);
      }
      assertThat(backend.liveTensors()).isEqualTo(before);
    }
  }

  @Test
  void threadsKeepTheirOwn() {
    Scope owner = Scope.detached();
    try (Scope _ = Scope.open();
        Scratch _ = Scratch.open()) {
      Tensor given = owner.adopt(empty(6));
      CompletableFuture.runAsync(owner::close).join();
      long made = backend.liveTensors();
      Set<Long> addresses = new HashSet<>();
      addresses.add(empty(6).address());
      addresses.add(empty(6).address());
      assertThat(addresses).hasSize(2);
      assertThat(backend.liveTensors()).as("none was kept").isEqualTo(made + 2);
      assertThat(given).isNotNull();
    }
  }
}
