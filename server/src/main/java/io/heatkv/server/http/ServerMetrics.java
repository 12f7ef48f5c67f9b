package io.heatkv.server.http;

import io.heatkv.GenerationResult;
import io.heatkv.server.core.Form;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.Scheduler;
import io.heatkv.server.core.SchedulerListener;
import io.heatkv.server.core.SchedulerStatus;
import io.heatkv.server.core.ServedModel;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What is counted and measured, as Prometheus reads it. */
public final class ServerMetrics implements SchedulerListener {
  // Of Linux.
  private static final Path STATUS = Path.of("/proc/self/status");

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final DistributionSummary batches =
      DistributionSummary.builder("heatkv.batch.size")
          .description("Pictures of a pass")
          .serviceLevelObjectives(1, 2, 4, 8, 16, 32, 64)
          .register(registry);
  private final Counter failures =
      Counter.builder("heatkv.device.failures")
          .description("Passes that the device lost")
          .register(registry);
  private volatile long measuredKvBytes;

  public ServerMetrics() {
    new UptimeMetrics().bindTo(registry);
    JvmMemoryMetrics memory = new JvmMemoryMetrics();
    memory.bindTo(registry);
    Gauge.builder("heatkv.kv.measured.bytes", this, metrics -> metrics.measuredKvBytes)
        .description("Bytes of keys and values that the last pass took")
        .register(registry);
    if (Files.isReadable(STATUS)) {
      Gauge.builder("process.resident.memory.bytes", ServerMetrics::residentBytes)
          .description("Resident memory")
          .register(registry);
    }
  }

  private static double residentBytes() {
    try (Stream<String> lines = Files.lines(STATUS)) {
      return 1024
          * lines
              .filter(line -> line.startsWith("VmRSS:"))
              .mapToDouble(line -> Double.parseDouble(line.replaceAll("\\D", "")))
              .findFirst()
              .orElse(Double.NaN);
    } catch (IOException e) {
      return Double.NaN;
    }
  }

  /** Follows what a scheduler tells when it is asked. */
  public void watch(Scheduler scheduler, ServedModel model, String version) {
    gauge(
        "heatkv.pictures.running", "Pictures that are drawn", scheduler, SchedulerStatus::running);
    gauge("heatkv.pictures.waiting", "Pictures in the queue", scheduler, SchedulerStatus::waiting);
    gauge("heatkv.devices", "Devices that can be used", scheduler, SchedulerStatus::devices);
    gauge(
        "heatkv.kv.reserved.bytes",
        "Bytes of keys and values of the passes that run",
        scheduler,
        SchedulerStatus::reservedKvBytes);
    gauge(
        "heatkv.reserved.bytes",
        "Bytes besides the weights of the passes that run",
        scheduler,
        SchedulerStatus::reservedBytes);
    gauge("heatkv.batch.limit", "Most pictures of a pass", scheduler, SchedulerStatus::batch);
    gauge(
        "heatkv.device.heartbeat.age.seconds",
        "Time since the thread of each device was last seen alive, the longest",
        scheduler,
        status -> status.sinceBeat().toNanos() / 1e9);
    Gauge.builder(
            "heatkv.kv.budget.bytes",
            scheduler,
            each -> (double) each.limits().kvBytes() * model.models().size())
        .description("Most bytes of keys and values at a time")
        .register(registry);
    Gauge.builder("heatkv.native.tensors", model, each -> each.model().backend().liveTensors())
        .description("Native tensors that are alive")
        .register(registry);
    Gauge.builder("heatkv.build.info", () -> 1)
        .description("What runs here")
        .tag("version", version)
        .tag("model", model.id())
        .tag(
            "device",
            model.models().stream()
                .map(each -> each.device().toString())
                .collect(Collectors.joining(",")))
        .tag("libtorch", model.model().backend().description())
        .register(registry);
  }

  private void gauge(
      String name,
      String description,
      Scheduler scheduler,
      ToDoubleFunction<SchedulerStatus> value) {
    Gauge.builder(name, scheduler, each -> value.applyAsDouble(each.status()))
        .description(description)
        .register(registry);
  }

  /** A request was answered. */
  void answered(String route, int status, double seconds) {
    Timer.builder("heatkv.requests")
        .description("Requests by what they asked for")
        .tag("route", route)
        .tag("status", Integer.toString(status))
        .serviceLevelObjectives(levels())
        .register(registry)
        .record((long) (1e9 * seconds), TimeUnit.NANOSECONDS);
  }

  /** A request to draw was refused. */
  void rejected(String reason) {
    Counter.builder("heatkv.requests.rejected")
        .description("Requests to draw that were refused")
        .tag("reason", reason)
        .register(registry)
        .increment();
  }

  @Override
  public void passBegins(Form form, int pictures) {
    batches.record(pictures);
  }

  @Override
  public void passDrawn(Form form, int pictures, GenerationResult result, double partialSeconds) {
    measuredKvBytes = result.kv().storage();
    stage("text", result.timings().text() / 1e3);
    stage("transformer", result.timings().transformer() / 1e3);
    stage("decode", result.timings().decode() / 1e3);
    if (partialSeconds > 0) {
      stage("partial", partialSeconds);
    }
  }

  @Override
  public void jobStarts(Job job) {
    stage("queue", (System.nanoTime() - job.submitted()) / 1e9);
  }

  private void stage(String name, double seconds) {
    Timer.builder("heatkv.stage")
        .description("Stages on the way from a request to pictures")
        .tag("stage", name)
        .serviceLevelObjectives(levels())
        .register(registry)
        .record((long) (1e9 * seconds), TimeUnit.NANOSECONDS);
  }

  private static Duration[] levels() {
    return Stream.of(10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 120_000)
        .map(Duration::ofMillis)
        .toArray(Duration[]::new);
  }

  @Override
  public void cancelled(Job.State phase) {
    Counter.builder("heatkv.cancelled")
        .description("Requests that were cancelled")
        .tag("phase", phase.toString().toLowerCase(Locale.ROOT))
        .register(registry)
        .increment();
  }

  @Override
  public void deviceFailed(Throwable problem, boolean usable) {
    failures.increment();
  }

  String text() {
    return registry.scrape();
  }

  public void close() {
    registry.close();
  }
}
