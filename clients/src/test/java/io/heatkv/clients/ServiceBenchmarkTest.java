package io.heatkv.clients;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.bench.ReservedMemory;
import io.heatkv.bench.ServiceBenchmark;
import io.heatkv.server.ToyServedModel;
import io.heatkv.server.core.Limits;
import io.heatkv.testkit.TestDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ServiceBenchmarkTest {
  @TempDir private static Path folder;
  private static ToyServedModel model;

  @BeforeAll
  static void load() {
    model = new ToyServedModel(folder);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void clientsAreServedByTurnsWithDrawingAlone() {
    long before = TestDevice.backend().liveTensors();
    ServiceBenchmark benchmark = new ServiceBenchmark(model, "h2o", "0.5");
    Limits limits = new Limits(1L << 30, 1L << 30, 64, 4, Duration.ofMillis(2));
    ServiceBenchmark.Result result =
        benchmark.run(limits, List.of(1, 2), 6, 2, Duration.ofMillis(50));
    assertThat(result.batches()).extracting(ServiceBenchmark.Offline::batch).containsExactly(1, 2);
    assertThat(result.offline()).hasSize(2);
    assertThat(result.batchLimit()).isEqualTo(4);
    assertThat(result.service())
        .hasSize(2)
        .allSatisfy(turn -> {
          assertThat(turn.failed()).isZero();
          assertThat(turn.pictures()).isGreaterThanOrEqualTo(6);
          assertThat(turn.meanBatch()).isBetween(1.0, 4.0);
          assertThat(turn.p50Millis()).isBetween(0.0, turn.p99Millis());
        });
    assertThat(benchmark.equalShare(3)).isEqualTo(1);
    assertThat(TestDevice.backend().liveTensors()).isEqualTo(before);
  }

  /** The same mixes each time; the driver is asked before and after each. */
  @Test
  void whatIsReservedStandsBesideWhatTheDriverTells() {
    AtomicLong free = new AtomicLong(1 << 20);
    ReservedMemory memory = new ReservedMemory(model, 1L << 30, 1 << 20, () -> free.getAndAdd(-10));
    List<ReservedMemory.Mix> told = new ArrayList<>();
    List<ReservedMemory.Mix> mixes = memory.run(5, told::add);
    assertThat(mixes)
        .hasSize(6)
        .allSatisfy(mix -> {
          assertThat(mix.taken()).isEqualTo(10);
          assertThat(mix.cache()).isPositive();
          assertThat(mix.reserved()).isGreaterThan(mix.cache());
        });
    free.set(1 << 20);
    assertThat(told).isEqualTo(mixes);
    assertThat(memory.run(5, _ -> {})).isEqualTo(mixes);
  }
}
