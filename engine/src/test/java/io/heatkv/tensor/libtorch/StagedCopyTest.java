package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Copies by several threads; host memory stands for a device's. */
class StagedCopyTest {
  private final AtomicInteger made = new AtomicInteger();

  private static MemorySegment random(Arena arena, long bytes, long seed) {
    byte[] content = new byte[(int) bytes];
    new Random(seed).nextBytes(content);
    MemorySegment memory = arena.allocate(bytes);
    MemorySegment.copy(MemorySegment.ofArray(content), 0, memory, 0, bytes);
    return memory;
  }

  /** Writes to an address of this process. */
  private static final class HostLane implements StagedCopy.Lane {
    private final MemorySegment buffer = Arena.ofAuto().allocate(StagedCopy.BLOCK);

    @Override
    public MemorySegment buffer() {
      return buffer;
    }

    @Override
    public void send(long target, long bytes) {
      MemorySegment.ofAddress(target).reinterpret(bytes).copyFrom(buffer.asSlice(0, bytes));
    }
  }

  private HostLane lane() {
    made.incrementAndGet();
    return new HostLane();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 4095, 4 << 20, (4 << 20) + 1, (33L << 20) + 12_345})
  void everyByteArrivesAndNoMore(long bytes) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = random(arena, bytes, 7);
      MemorySegment target = random(arena, bytes + 128, 8);
      MemorySegment before = arena.allocate(bytes + 128).copyFrom(target);
      StagedCopy copy = new StagedCopy(this::lane);
      for (int i = 0; i < 2; i++) {
        assertThat(copy.copy(target.address() + 64, source)).isTrue();
        assertThat(target.asSlice(64, bytes).mismatch(source)).isEqualTo(-1);
      }
      assertThat(target.asSlice(0, 64).mismatch(before.asSlice(0, 64))).isEqualTo(-1);
      assertThat(target.asSlice(64 + bytes).mismatch(before.asSlice(64 + bytes))).isEqualTo(-1);
      assertThat(made.get()).as("lanes are kept").isLessThanOrEqualTo(8);
    }
  }

  /** Copies that are begun one after another, and awaited in another order. */
  @Test
  void manyAtOnceStayApart() {
    Random random = new Random(12);
    try (Arena arena = Arena.ofShared()) {
      StagedCopy copy = new StagedCopy(this::lane);
      List<MemorySegment> sources = new ArrayList<>();
      List<MemorySegment> targets = new ArrayList<>();
      List<CompletableFuture<Boolean>> begun = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        long bytes = 1 + random.nextInt(9 << 20);
        sources.add(random(arena, bytes, 100 + i));
        targets.add(arena.allocate(bytes));
        begun.add(copy.begin(targets.getLast().address(), sources.getLast()));
      }
      for (int i = sources.size() - 1; i >= 0; i--) {
        assertThat(StagedCopy.await(begun.get(i))).isTrue();
        assertThat(targets.get(i).mismatch(sources.get(i))).isEqualTo(-1);
      }
      assertThat(made.get()).as("lanes are kept").isLessThanOrEqualTo(8);
    }
  }

  @Test
  void fewerLanesThanThreadsDoAll() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = random(arena, 20L << 20, 9);
      MemorySegment target = arena.allocate(20L << 20);
      StagedCopy copy = new StagedCopy(() -> made.get() == 0 ? lane() : null);
      assertThat(copy.copy(target.address(), source)).isTrue();
      assertThat(target.mismatch(source)).isEqualTo(-1);
    }
  }

  @Test
  void withoutALaneNothingIsCopied() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = random(arena, 9L << 20, 10);
      assertThat(new StagedCopy(() -> null).copy(0, source)).isFalse();
    }
  }

  @Test
  void aFailureOfTheDeviceIsTheCallers() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment source = random(arena, 12L << 20, 11);
      StagedCopy copy =
          new StagedCopy(() ->
              new StagedCopy.Lane() {
                private final MemorySegment buffer = Arena.ofAuto().allocate(StagedCopy.BLOCK);

                @Override
                public MemorySegment buffer() {
                  return buffer;
                }

                @Override
                public void send(long target, long bytes) {
                  throw new TensorException("the device is gone");
                }
              });
      assertThatThrownBy(() -> copy.copy(0, source))
          .isInstanceOf(TensorException.class)
          .hasMessage("the device is gone");
    }
  }
}
