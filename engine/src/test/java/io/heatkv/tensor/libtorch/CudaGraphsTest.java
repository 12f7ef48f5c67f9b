package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Repeats;
import io.heatkv.tensor.Room;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which regions are recorded and replayed, by a driver whose kernels are Java's. */
class CudaGraphsTest {
  private static final int COUNT = 5;
  private static final long ROOM_BYTES = 8 << 10;

  private final Backend backend = TestDevice.backend();
  private final Driver driver = new Driver();
  private final CudaGraphs graphs = new CudaGraphs(driver);
  private int calls;
  private long live;
  private Scope scope;
  private Tensor x;

  /** Runs or records kernels as a device would. */
  private static final class Driver implements GraphDriver {
    private final Arena arena = Arena.ofAuto();
    private final Map<Long, List<Runnable>> graphs = new HashMap<>();
    private @Nullable Room room =
        new Room(Device.CPU, arena.allocate(ROOM_BYTES, 512).address(), ROOM_BYTES);
    private @Nullable List<Runnable> recorded;
    private long stream;
    private long last;
    private boolean fails;
    private boolean refuses;
    private final List<Long> launched = new ArrayList<>();
    private boolean closed;

    void queue(Runnable kernel) {
      if (recorded == null) {
        kernel.run();
      } else {
        recorded.add(kernel);
      }
    }

    @Override
    public long stream() {
      return stream;
    }

    @Override
    public @Nullable Room room() {
      return room;
    }

    @Override
    public void begin() {
      if (fails) {
        throw new TensorException("no recording");
      }
      recorded = new ArrayList<>();
    }

    @Override
    public long end() {
      last++;
      if (!refuses && !fails) {
        graphs.put(last, recorded);
      }
      recorded = null;
      return refuses || fails ? 0 : last;
    }

    @Override
    public void launch(long graph) {
      graphs.get(graph).forEach(Runnable::run);
      launched.add(graph);
    }

    @Override
    public void copy(long target, long source, long bytes) {
      memory(target, bytes).copyFrom(memory(source, bytes));
    }

    @Override
    public void free(long graph) {
      assertThat(graphs.remove(graph)).isNotNull();
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  private static MemorySegment memory(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  @BeforeEach
  void open() {
    live = backend.liveTensors();
    scope = Scope.open();
    x = Tensor.of(backend, new float[] {1, 2, 3, 4, 5}, COUNT);
  }

  @AfterEach
  void nothingIsLeft() {
    graphs.close();
    assertThat(driver.graphs).isEmpty();
    assertThat(driver.closed).isTrue();
    scope.close();
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** {@code x <- 2 x + 1} by way of another tensor. */
  private String region(Tensor changed, Runnable next) {
    calls++;
    Tensor twice = Tensor.empty(backend, DType.F32, Device.CPU, COUNT);
    long from = changed.address();
    long by = twice.address();
    driver.queue(() -> each(from, by, value -> 2 * value));
    next.run();
    driver.queue(() -> each(by, from, value -> value + 1));
    return "call " + calls;
  }

  private static void each(long from, long to, Function<Float, Float> change) {
    MemorySegment source = memory(from, Float.BYTES * COUNT);
    MemorySegment target = memory(to, Float.BYTES * COUNT);
    for (int i = 0; i < COUNT; i++) {
      target.setAtIndex(JAVA_FLOAT, i, change.apply(source.getAtIndex(JAVA_FLOAT, i)));
    }
  }

  /** After n times {@code 2 x + 1}. */
  private void assertRuns(int runs) {
    float factor = 1 << runs;
    float[] expected = new float[COUNT];
    for (int i = 0; i < COUNT; i++) {
      expected[i] = factor * (i + 1) + factor - 1;
    }
    assertThat(x.toFloats()).as("%d runs", runs).containsExactly(expected);
  }

  @Test
  void theSecondRunIsRecordedAndReplayedFromThenOn() {
    List<String> outcomes = new ArrayList<>();
    for (int run = 1; run <= 5; run++) {
      outcomes.add(graphs.run("a", x, this::region));
      assertRuns(run);
    }
    assertThat(outcomes).containsExactly("call 1", "call 2", "call 2", "call 2", "call 2");
    assertThat(driver.launched).as("both parts").containsExactly(1L, 2L, 1L, 2L, 1L, 2L, 1L, 2L);
  }

  @Test
  void tensorsElsewhereAreReplayedToo() {
    for (int run = 0; run < 4; run++) {
      x = Tensor.of(backend, new float[] {1, 2, 3, 4, 5}, COUNT);
      graphs.run("a", x, this::region);
      assertRuns(1);
    }
    assertThat(calls).isEqualTo(2);
  }

  @Test
  void withoutAKeyNothingIsRecorded() {
    for (int run = 1; run <= 4; run++) {
      graphs.run(null, x, this::region);
      assertRuns(run);
    }
    assertThat(calls).isEqualTo(4);
    assertThat(driver.last).isZero();
  }

  @Test
  void whatCallsAnOperatorRunsAsItIs() {
    for (int run = 1; run <= 4; run++) {
      graphs.run(
          "a",
          x,
          (changed, next) -> {
            region(changed, next);
            Ops.addInPlace(changed, Tensor.full(backend, 0, DType.F32, Device.CPU, COUNT));
            return 0;
          });
      assertRuns(run);
    }
    assertThat(calls).as("one of them began to be recorded").isEqualTo(5);
    assertThat(driver.graphs).isEmpty();
  }

  @Test
  void whatTakesTooMuchMemoryRunsAsItIs() {
    for (int run = 1; run <= 4; run++) {
      graphs.run(
          "a",
          x,
          (changed, next) -> {
            Tensor.empty(backend, DType.U8, Device.CPU, ROOM_BYTES);
            return region(changed, next);
          });
      assertRuns(run);
    }
    assertThat(driver.graphs).isEmpty();
  }

  @Test
  void errorsAreThoseOfTheRegionAndLeaveNothing() {
    for (int run = 1; run <= 4; run++) {
      assertThatThrownBy(() ->
              graphs.run(
                  "a",
                  x,
                  (changed, next) -> {
                    region(changed, next);
                    throw new IllegalArgumentException("broken");
                  }))
          .hasMessage("broken");
      assertThat(driver.graphs).isEmpty();
      assertThat(driver.recorded).isNull();
    }
  }

  @Test
  void whereADriverDoesNotRecordThingsRunAsTheyAre() {
    driver.fails = true;
    for (int run = 1; run <= 4; run++) {
      graphs.run("a", x, this::region);
      assertRuns(run);
    }
    assertThat(calls).isEqualTo(4);
  }

  @Test
  void withoutMemoryNothingIsRecorded() {
    driver.room = null;
    for (int run = 1; run <= 4; run++) {
      graphs.run("a", x, this::region);
      assertRuns(run);
    }
    assertThat(calls).isEqualTo(4);
  }

  /** Their tensors lie in the same memory, which one stream's work would take from another's. */
  @Test
  void onAnotherStreamNothingIsReplayed() {
    for (int run = 1; run <= 3; run++) {
      graphs.run("a", x, this::region);
    }
    assertThat(calls).isEqualTo(2);
    driver.stream = 8;
    for (int run = 4; run <= 6; run++) {
      graphs.run("a", x, this::region);
      graphs.run("b", Tensor.of(backend, new float[COUNT], COUNT), this::region);
      assertRuns(run);
    }
    assertThat(calls).isEqualTo(2 + 6);
    assertThat(driver.graphs).hasSize(2);
  }

  @Test
  void whatCannotBeReplayedRunsAsItIs() {
    driver.refuses = true;
    for (int run = 1; run <= 4; run++) {
      graphs.run("a", x, this::region);
      assertRuns(run);
    }
    assertThat(driver.graphs).isEmpty();
  }

  @Test
  void newOnesTakeThePlacesOfThoseOutOfUse() {
    for (int key = 0; key < Repeats.CAPACITY + 3; key++) {
      run(key, 2);
    }
    assertThat(driver.graphs).hasSize(Repeats.CAPACITY);
    // The first ones are in use: who is asked for in turns with them gets no place.
    for (int turn = 0; turn < CudaGraphs.LEAST_UNUSED; turn++) {
      for (int key = 0; key < Repeats.CAPACITY + 3; key++) {
        run(key, 1);
      }
    }
    assertThat(driver.last).isEqualTo(Repeats.CAPACITY);
    run("new", CudaGraphs.LEAST_UNUSED + 2);
    assertThat(driver.last).isEqualTo(Repeats.CAPACITY + 1);
    assertThat(driver.graphs).hasSize(Repeats.CAPACITY).doesNotContainKey(1L);
    x = Tensor.of(backend, new float[] {1, 2, 3, 4, 5}, COUNT);
    graphs.run(0, x, this::region);
    assertRuns(1);
  }

  private void run(Object key, int times) {
    for (int i = 0; i < times; i++) {
      graphs.run(key, x, (_, _) -> 0);
    }
  }

  @Test
  void keysOfLongAgoAreForgotten() {
    run("a", 1);
    for (int key = 0; key < CudaGraphs.MOST_KEYS; key++) {
      run(key, 1);
    }
    run("a", 1);
    assertThat(driver.last).isZero();
    run("a", 1);
    assertThat(driver.last).isOne();
  }

  @Test
  void afterTheEndThingsRunAsTheyAre() {
    graphs.run("a", x, this::region);
    graphs.run("a", x, this::region);
    graphs.close();
    for (int run = 3; run <= 5; run++) {
      graphs.run("a", x, this::region);
      assertRuns(run);
    }
    assertThat(driver.graphs).isEmpty();
  }
}
