package io.heatkv.cli.commands;

import io.heatkv.DevicePool;
import io.heatkv.bench.ReservedMemory;
import io.heatkv.bench.ServiceBenchmark;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.OfferedModel;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.report.Json;
import io.heatkv.family.NextScaleModel;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.RandomModel;
import io.heatkv.policy.CachePolicies;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.schedule.Budget;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.ServedModel;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Times a model as a service.
 *
 * @param clients at a time
 * @param turns of each, with and without the service
 * @param turn how long each lasts
 * @param mixes of requests whose memory is measured, where a device's driver tells it
 * @param progress is told each of them, as a line of JSON
 */
record ServiceBench(
    ModelOptions model,
    PolicyOptions policies,
    String budget,
    List<Integer> batches,
    int clients,
    int turns,
    Duration turn,
    int mixes,
    Consumer<String> progress) {
  private static final Duration WINDOW = Duration.ofMillis(5);
  private static final int QUEUE = 1024;
  // Pictures of the pass whose bits are compared with those that each has alone.
  private static final int SHARED = 8;

  /** The report. */
  Map<String, Object> run(SyntheticBench random) {
    if (model.isSynthetic()) {
      RandomModel sizes = SyntheticBench.sizes(model.syntheticName());
      LibTorch library = model.open();
      Device device = model.device();
      try (NextScaleModel networks = sizes.load(library, device, model.dtype(sizes))) {
        return run(new RandomServedModel(random, sizes, networks), library, device);
      }
    }
    try (ModelChoice choice = model.choose()) {
      LibTorch library = choice.library();
      try (DevicePool pool = choice.load(library, 1)) {
        return run(new OfferedModel(choice, library, pool, policies), library, choice.device());
      }
    }
  }

  private Map<String, Object> run(ServedModel served, LibTorch library, Device device) {
    String policy = policies.usual();
    boolean whole =
        Budget.parse(budget).equals(Budget.parse("1")) || CachePolicies.whole(policy).isPresent();
    long usable = MemoryNeed.usable(device, free(library, device));
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("model", served.id());
    report.put("device", device);
    report.put("libtorch", library.description());
    report.put("policy", whole ? "full" : policy);
    report.put("budget", whole ? "1.0" : budget);
    if (mixes > 0 && device.isCuda()) {
      report.put(
          "memory",
          new ReservedMemory(
                  served, usable, library.memory(device).total(), () -> free(library, device))
              .run(mixes, mix -> progress.accept(Json.line(json(mix)))).stream()
                  .map(ServiceBench::json)
                  .toList());
    }
    ServiceBenchmark benchmark =
        new ServiceBenchmark(served, whole ? "full" : policy, whole ? "1" : budget);
    ServiceBenchmark.Result result =
        benchmark.run(new Limits(usable, usable, QUEUE, 0, WINDOW), batches, clients, turns, turn);
    report.put("clients", clients);
    report.put("batches", result.batches().stream().map(ServiceBench::json).toList());
    report.put("batch_limit", result.batchLimit());
    report.put("offline", result.offline().stream().map(ServiceBench::json).toList());
    report.put("service", result.service().stream().map(ServiceBench::json).toList());
    report.put("service_to_offline", result.ratio());
    report.put("equal_share", benchmark.equalShare(SHARED));
    return report;
  }

  private static long free(LibTorch library, Device device) {
    return device.isCuda() ? library.memory(device).free() : AvailableMemory.bytes();
  }

  private static Map<String, Object> json(ServiceBenchmark.Offline offline) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("batch", offline.batch());
    json.put("images_per_second", offline.picturesPerSecond());
    return json;
  }

  private static Map<String, Object> json(ServiceBenchmark.Service service) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("images_per_second", service.picturesPerSecond());
    json.put("images", service.pictures());
    json.put("p50_ms", service.p50Millis());
    json.put("p99_ms", service.p99Millis());
    json.put("mean_batch", service.meanBatch());
    json.put("failed", service.failed());
    return json;
  }

  private static Map<String, Object> json(ReservedMemory.Mix mix) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("passes", mix.passes());
    json.put("kv_bytes", mix.cache());
    json.put("scratch_bytes", mix.scratch());
    json.put("idle_bytes", mix.idle());
    json.put("taken_bytes", mix.taken());
    return json;
  }
}
