package io.heatkv.cli;

import io.heatkv.bench.Benchmark;
import io.heatkv.bench.Measurement;
import io.heatkv.bench.RandomOrders;
import io.heatkv.bench.Workload;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.HeatKvPolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.model.TransformerConfig;
import io.heatkv.scale.Resolution;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.scale.ScaleTemplate;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Times the transformer of a published size with random weights.
 *
 * @param model names the size and the device
 * @param scales that are drawn; 1M unless an option says otherwise
 * @param repeats timed generations of each
 */
record SyntheticBench(ModelOptions model, ScaleOptions scales, int repeats) {
  private static final int TEXT_TOKENS = 64;
  private static final int SINK_SCALES = 3;
  private static final long SEED = 1;

  /** The report. */
  String run(List<Budget> budgets, List<Integer> batches, boolean json) {
    TransformerConfig config = config(model.syntheticName());
    ScaleSchedule schedule = scales.schedule(ScaleTemplate.nearest(1).schedule(Resolution.P1));
    LibTorch library = model.open();
    Device device = model.device();
    DType dtype = model.dtype();
    List<Measurement> measurements = new ArrayList<>();
    try (Benchmark benchmark = new Benchmark(config, library, device, dtype)) {
      for (int batch : batches) {
        for (Budget budget : budgets) {
          CachePolicy policy = policy(config, schedule, dtype, budget);
          measurements.add(
              benchmark.run(new Workload(config, schedule, batch, TEXT_TOKENS, policy, repeats)));
        }
      }
    }
    return json
        ? Json.pretty(Map.of("runs", measurements.stream().map(SyntheticBench::json).toList()))
        : String.join("\n", measurements.stream().map(Measurement::text).toList());
  }

  private static TransformerConfig config(String name) {
    if (!name.equals("infinity-2b")) {
      throw new UserException("no size is named '" + name + "'; expected synth:infinity-2b");
    }
    return Workload.INFINITY_2B;
  }

  private static CachePolicy policy(
      TransformerConfig config, ScaleSchedule schedule, DType dtype, Budget budget) {
    KvShape shape =
        new KvShape(config.depth(), 2, config.heads(), config.headDim(), dtype, schedule);
    ScheduleShape pruned = ScheduleShape.of(config.depth(), config.heads(), schedule, SINK_SCALES);
    double ratio = budget.ratio(shape.fullBytes());
    return ratio == 1
        ? CachePolicy.FULL
        : new HeatKvPolicy(PruningSchedule.of(pruned, RandomOrders.of(pruned, SEED), ratio));
  }

  private static Map<String, Object> json(Measurement measured) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("weights", "random");
    json.put("device", measured.device());
    json.put("policy", measured.workload().policy().name());
    json.put("batch", measured.workload().images());
    json.put("scales", measured.workload().schedule());
    json.put("scales_ms", measured.scaleMillis());
    json.put("transformer_ms", measured.millis());
    json.put("first_ms", measured.firstMillis());
    json.put("tflop", measured.workload().flops() / 1e12);
    json.put("ceiling_tflops", measured.ceiling() / 1e12);
    json.put("floor_ms", measured.floorMillis());
    json.put("ratio_to_floor", measured.millis() / measured.floorMillis());
    json.put("kv_bytes", measured.kv().storage());
    json.put("kv_current_scale_bytes", measured.kv().currentScale());
    json.put("kv_workspace_bytes", measured.kv().workspace());
    json.put("weight_bytes", measured.weightBytes());
    json.put("peak_bytes", measured.peakBytes());
    json.put("grown_bytes", measured.grownBytes());
    return json;
  }
}
