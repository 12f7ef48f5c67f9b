package io.heatkv.cli.commands;

import io.heatkv.bench.Benchmark;
import io.heatkv.bench.Measurement;
import io.heatkv.bench.RandomLevelCosts;
import io.heatkv.bench.RandomOrders;
import io.heatkv.bench.Workload;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.ObservedCache;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.cli.report.Json;
import io.heatkv.error.UserException;
import io.heatkv.eval.run.Cell;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.ModelProfile;
import io.heatkv.load.ModelSource;
import io.heatkv.load.RandomModel;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelPlan;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceTrace;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Times the transformer of a published size, or of the embedded model's, with random weights.
 *
 * @param model names the size and the device
 * @param scales that are drawn; the size's own unless an option says otherwise
 * @param policies that are timed
 * @param repeats timed generations of each
 * @param calibration whether to time one too
 * @param decoder whether to time the image tokenizer's too
 */
public record SyntheticBench(
    ModelOptions model,
    ScaleOptions scales,
    PolicyOptions policies,
    int repeats,
    boolean calibration,
    boolean decoder) {
  private static final int SINK_SCALES = 3;
  private static final long SEED = 1;

  static RandomModel sizes(String name) {
    if (!ModelSource.isEmbedded(name)) {
      return ModelFamilies.ofSize(name).random(name);
    }
    try (ModelDescription embedded = ModelSource.find(name)) {
      return embedded.random();
    }
  }

  /** The report. */
  public String run(List<String> budgets, List<Integer> batches, boolean json) {
    RandomModel sizes = sizes(model.syntheticName());
    ScaleGrids grids = scales.grids(sizes);
    DType dtype = model.dtype(sizes);
    KvShape shape = sizes.kvShape(dtype, grids);
    List<Cell> cells =
        policies.cells(budgets, shape, (name, budget) -> policy(name, shape, budget));
    List<Workload> workloads = new ArrayList<>();
    for (int batch : batches) {
      for (Cell cell : cells) {
        workloads.add(new Workload(sizes, grids, batch, cell.cache(), repeats));
      }
    }
    LibTorch library = model.open();
    Device device = model.device();
    long available = device.isCuda() ? library.memory(device).free() : AvailableMemory.bytes();
    Workload one = new Workload(sizes, grids, 1, CachePolicy.FULL, repeats);
    workloads.forEach(workload -> requireMemory(workload, 0, available, device, dtype));
    if (calibration && device.isCuda()) {
      long probes = ObservedCache.scratchBytes(one.kvShape(dtype));
      requireMemory(one, probes, available, device, dtype);
    }
    Map<String, Double> extras = new LinkedHashMap<>();
    List<Measurement> measurements;
    try (Benchmark benchmark = new Benchmark(sizes, library, device, dtype)) {
      measurements = measure(benchmark, workloads, device, dtype);
      if (calibration) {
        double plain = benchmark.run(one).millis();
        double observed = benchmark.calibrate(one, SINK_SCALES, false).millis();
        extras.put("generation_ms", plain);
        extras.put("calibration_ms", observed);
        extras.put("calibration_ratio", observed / plain);
        extras.put(
            "calibration_with_peers_ms", benchmark.calibrate(one, SINK_SCALES, true).millis());
      }
      if (decoder) {
        extras.put("decode_ms", benchmark.decodeMillis(grids));
      }
    }
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>(extras);
      report.put("runs", measurements.stream().map(SyntheticBench::json).toList());
      return Json.pretty(report);
    }
    List<String> parts = new ArrayList<>(measurements.stream().map(Measurement::text).toList());
    extras.forEach((key, value) ->
        parts.add(String.format(Locale.ROOT, "%-20s %.2f", key.replace('_', ' '), value)));
    return String.join("\n", parts);
  }

  /** Refuses what can't fit before anything is allocated. */
  private static void requireMemory(
      Workload workload, long besides, long available, Device device, DType dtype) {
    workload
        .memory(dtype, device)
        .plusScratch(besides)
        .requireAtMost(device, available, workload.images(), workload.kvShape(dtype).fullBytes());
  }

  /** The smallest first: the peak of one is then its own. In the order of the workloads. */
  private static List<Measurement> measure(
      Benchmark benchmark, List<Workload> workloads, Device device, DType dtype) {
    Measurement[] measurements = new Measurement[workloads.size()];
    IntStream.range(0, measurements.length)
        .boxed()
        .sorted(Comparator.comparingLong(i -> workloads.get(i).memory(dtype, device).total()))
        .forEach(i -> measurements[i] = benchmark.run(workloads.get(i)));
    return List.of(measurements);
  }

  /** As for any model, but HeatKV's rules do without a calibration, all but greedy. */
  CachePolicy policy(String name, KvShape shape, Budget budget) {
    boolean random =
        Stream.of(Allocation.RATE_DISTORTION, Allocation.PAPER)
            .map(Allocation::policy)
            .anyMatch(name::equals);
    return random && policies.profile().isEmpty()
        ? randomlyOrdered(name, shape, budget)
        : policies.policy(name, shape, budget, () -> calibration(name, shape));
  }

  private CachePolicy randomlyOrdered(String name, KvShape shape, Budget budget) {
    boolean paper = name.equals(Allocation.PAPER.policy());
    // Levels have a store of their own.
    double ratio = paper ? policies.storage().ratio(shape, budget) : shape.ratio(budget);
    if (ratio == 1) {
      // The baseline of the others is the full cache itself, not a schedule that drops nothing.
      return CachePolicy.FULL;
    }
    ScheduleShape pruned =
        ScheduleShape.of(shape.layers(), shape.heads(), shape.grids(), SINK_SCALES);
    return new HeatKvPolicy(
        name,
        paper
            ? PruningSchedule.of(pruned, RandomOrders.of(pruned, SEED), ratio)
            : LevelPlan.of(
                shape.levelShape(SINK_SCALES),
                RandomLevelCosts.of(pruned, SEED),
                policies.levels(),
                ratio),
        policies.storage());
  }

  private CalibrationProfile calibration(String policy, KvShape shape) {
    Path file =
        policies
            .profile()
            .orElseThrow(() ->
                new UserException(
                    "policy "
                        + policy
                        + " needs a calibration, and random weights have none; name a file with"
                        + " --profile, or choose another policy"));
    return ModelProfile.read(file, model.syntheticName(), shape);
  }

  private static Map<String, Object> json(Measurement measured) {
    Workload workload = measured.workload();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("weights", "random");
    json.put("device", measured.device());
    json.put("policy", workload.policy().name());
    json.put("budget", workload.policy().budget());
    json.put("batch", workload.images());
    json.put("scales", workload.grids());
    json.put("scales_ms", measured.scaleMillis());
    json.put(
        "scales_tflops",
        IntStream.range(0, workload.grids().count())
            .mapToObj(t -> measured.rate(t) / 1e12)
            .toList());
    json.put("transformer_ms", measured.millis());
    json.put("images_per_second", workload.images() / measured.millis() * 1e3);
    json.put("first_ms", measured.firstMillis());
    json.put("tflop", workload.flops() / 1e12);
    json.put("tflops", workload.flops() / measured.millis() / 1e9);
    json.put("ceiling_tflops", measured.ceiling() / 1e12);
    json.put("floor_ms", measured.floorMillis());
    json.put("ratio_to_floor", measured.millis() / measured.floorMillis());
    if (!measured.busy().isEmpty()) {
      json.put(
          "scales_busy_ms",
          measured.busy().stream().map(activity -> activity.busyNanos() / 1e6).toList());
      json.put("busy_ms", measured.busyMillis());
      json.put("launch_gap_share", measured.gapShare());
      json.put(
          "device_steps", measured.busy().stream().mapToLong(DeviceTrace.Activity::steps).sum());
    }
    json.putAll(measured.kv().toJson());
    MemoryNeed need = measured.need();
    json.put("weight_bytes", need.weights());
    json.put("scratch_bytes", need.scratch());
    Measurement.Memory memory = measured.memory();
    if (memory.peak() >= 0) {
      json.put("library_bytes", memory.libraries());
      json.put("explained_bytes", measured.explainedBytes());
      json.put("peak_bytes", memory.peak());
      json.put("peak_to_explained", memory.peak() / (double) measured.explainedBytes());
      json.put("grown_bytes", memory.grown());
      json.put("context_bytes", memory.context());
    }
    return json;
  }
}
