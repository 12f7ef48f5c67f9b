package io.heatkv.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.server.core.Limits;
import io.heatkv.tensor.Backend;
import io.heatkv.testkit.TestDevice;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Many clients at once, of whom a third leaves at any moment. */
final class LoadTest {
  private static final int CLIENTS = 12;
  private static final int REQUESTS = 8;

  @TempDir private static Path folder;

  @Test
  void nothingFailsAndNothingStays() throws Exception {
    Backend backend = TestDevice.backend();
    long before = backend.liveTensors();
    Limits limits = new Limits(1L << 30, 1L << 30, 12, 4, Duration.ofMillis(2));
    ConcurrentLinkedQueue<Integer> statuses = new ConcurrentLinkedQueue<>();
    try (Running running = new Running(folder, limits, Running.OPTIONS).ready()) {
      long idle = backend.liveTensors();
      try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<?>> ends =
            IntStream.range(0, CLIENTS)
                .<Future<?>>mapToObj(seed ->
                    clients.submit(() -> {
                      ask(running, new Random(seed), statuses);
                      return null;
                    }))
                .toList();
        for (Future<?> end : ends) {
          var _ = end.get();
        }
      }
      assertThat(statuses).contains(200).containsOnly(200, 429);
      // Who left is cancelled at the next scale.
      while (running.server.status().running() + running.server.status().waiting() > 0) {
        Thread.onSpinWait();
      }
      assertThat(running.server.status().reservedBytes()).isZero();
      assertThat(running.draw("{\"prompt\": \"circle\"}").statusCode()).isEqualTo(200);
      while (backend.liveTensors() > idle) {
        Thread.onSpinWait();
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  private static void ask(Running running, Random random, ConcurrentLinkedQueue<Integer> statuses)
      throws Exception {
    for (int i = 0; i < REQUESTS; i++) {
      String body =
          "{\"prompt\": \"%s\", \"n\": %d, \"stream\": %b, \"partial_images\": %d, \"policy\": \"h2o\", \"kv_budget\": %s}"
              .formatted(
                  random.nextBoolean() ? "circle" : "cross",
                  1 + random.nextInt(2),
                  random.nextBoolean(),
                  random.nextInt(3),
                  random.nextBoolean() ? "0.4" : "0.6");
      CompletableFuture<HttpResponse<String>> answer =
          running.client.sendAsync(
              running.post("/v1/images/generations", body), BodyHandlers.ofString());
      if (random.nextInt(3) == 0) {
        for (int turn = random.nextInt(2000); turn > 0; turn--) {
          Thread.yield();
        }
        answer.cancel(true);
      }
      try {
        statuses.add(answer.get().statusCode());
      } catch (CancellationException _) {
        // It left.
      } catch (ExecutionException e) {
        assertThat(e.getCause()).isInstanceOf(CancellationException.class);
      }
    }
  }
}
