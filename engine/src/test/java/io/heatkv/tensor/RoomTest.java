package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Parts of a room, and tensors in it. */
class RoomTest {
  private static final long START = 7 << 20;
  private static final long BYTES = 64 << 10;

  private record Part(long address, long bytes) {
    boolean meets(Part other) {
      return address < other.address + other.bytes && other.address < address + bytes;
    }
  }

  @Test
  void partsLieApartAndComeTogetherAgain() {
    Random random = new Random(1);
    Room room = new Room(Device.CPU, START, BYTES);
    for (int round = 0; round < 50; round++) {
      List<Part> taken = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        if (!taken.isEmpty() && random.nextBoolean()) {
          Part part = taken.remove(random.nextInt(taken.size()));
          room.give(part.address, part.bytes);
          continue;
        }
        long bytes = random.nextInt(5000);
        try {
          Part part = new Part(room.take(bytes), bytes);
          assertThat(part.address % 512).isZero();
          assertThat(part.address).isBetween(START, START + BYTES - bytes);
          assertThat(taken).noneMatch(part::meets);
          taken.add(part);
        } catch (Repeats.Unrepeatable e) {
          assertThat(taken.stream().mapToLong(Part::bytes).sum()).isGreaterThan(BYTES / 4);
        }
      }
      taken.forEach(part -> room.give(part.address, part.bytes));
      assertThat(room.take(BYTES)).isEqualTo(START);
      assertThatThrownBy(() -> room.take(1)).isInstanceOf(Repeats.Unrepeatable.class);
      room.give(START, BYTES);
    }
  }

  @Test
  void newTensorsOfADeviceLieInItAndNoOperatorReadsAny() {
    Backend backend = TestDevice.backend();
    long live = backend.liveTensors();
    try (Arena arena = Arena.ofConfined();
        Scope _ = Scope.open()) {
      long start = arena.allocate(BYTES, 512).address();
      Tensor before = Tensor.full(backend, 3, DType.F32, Device.CPU, 5);
      try (Scratch _ = Scratch.open(new Room(Device.CPU, start, BYTES))) {
        Tensor first = Tensor.empty(backend, DType.F32, Device.CPU, 3, 100);
        assertThat(first.address()).isEqualTo(start);
        try (Scratch _ = Scratch.open()) {
          Tensor second = Tensor.empty(backend, DType.BF16, Device.CPU, 8);
          assertThat(second.address()).isEqualTo(start + 1536);
          assertThat(second.dtype()).isEqualTo(DType.BF16);
          second.release();
          assertThat(Tensor.empty(backend, DType.U8, Device.CPU, 600).address())
              .isEqualTo(start + 1536);
        }
        Tensor row = first.select(0, 2);
        assertThat(row.address()).isEqualTo(start + 800);
        row.release();
        assertThat(first.shape()).containsExactly(3, 100);
        assertThatThrownBy(() -> first.add(1)).isInstanceOf(Repeats.Unrepeatable.class);
        assertThatThrownBy(() -> before.add(1)).isInstanceOf(Repeats.Unrepeatable.class);
        assertThat(backend.liveTensors()).isEqualTo(live + 1);
        first.release();
        assertThat(Tensor.empty(backend, DType.F32, Device.CPU, 1).address()).isEqualTo(start);
      }
      assertThat(before.add(1).toFloats()).containsOnly(4);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }
}
