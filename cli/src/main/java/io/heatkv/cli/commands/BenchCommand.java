package io.heatkv.cli.commands;

import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.bench.PipelineBenchmark;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.cli.report.Hardware;
import io.heatkv.cli.report.Json;
import io.heatkv.error.UserException;
import io.heatkv.eval.run.Cell;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.ModelDescription;
import io.heatkv.resource.Release;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.libtorch.LibTorch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Times generations beside what a large matrix product reaches in the same run. */
@Command(
    name = "bench",
    description = "Times generations, stage by stage, beside the floor of the same arithmetic.",
    footer = {
      "  heatkv bench",
      "  heatkv bench --budgets 1.0,0.3,0.1 --json",
      "  heatkv bench --model synth:infinity-2b --device cuda --budgets 1.0,0.1,0.05 --batch 1,4",
      "  heatkv bench --clients 8 --batch 2,4,8 --budgets 10%%",
      "",
      "The floor is the time that transformer and decoder would take at the rate of a",
      "large matrix product, attention to everything included. synth:infinity-2b, like",
      "the other published sizes and synth:emoji, has random weights, and times its",
      "transformer; HeatKV has random head orders there, unless a --profile of these",
      "sizes is named."
    })
public final class BenchCommand implements Callable<Integer> {
  private static final List<String> COLUMNS =
      List.of(
          "policy",
          "budget",
          "batch",
          "text_ms",
          "transformer_ms",
          "decode_ms",
          "total_ms",
          "images_per_second",
          "floor_fp32_ms",
          "ratio_to_fp32_floor",
          "kv_bytes");

  private final Console console;

  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final ScaleOptions scales = new ScaleOptions();
  @Mixin private final PolicyOptions policies = new PolicyOptions();

  @Option(
      names = "--budgets",
      split = ",",
      paramLabel = "BUDGET",
      description = "KV budgets to time; 1.0 is the full cache. Default: 1.0.")
  private List<String> budgets = List.of("1.0");

  @Option(
      names = "--batch",
      split = ",",
      paramLabel = "N",
      description = "Pictures drawn at once. Default: 1.")
  private List<Integer> batches = List.of(1);

  @Option(
      names = "--repeats",
      paramLabel = "N",
      description = "Timed generations of each, after one that warms up. Default: 5.")
  private int repeats = 5;

  @Option(
      names = "--calibration",
      description = "Of a random model, also time a calibration by one prompt.")
  private boolean calibration;

  @Option(
      names = "--decoder",
      description = "Of a random model, also time the image tokenizer's decoder.")
  private boolean decoder;

  @Option(
      names = "--clients",
      paramLabel = "N",
      description =
          "Serve so many clients at a time instead, by turns with drawing the best of --batch"
              + " without a server; prints JSON.")
  private int clients;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      description =
          "With --clients, how long each of the --repeats turns lasts. Default: ${DEFAULT-VALUE}.")
  private int seconds = 20;

  @Option(
      names = "--mixes",
      paramLabel = "N",
      description =
          "With --clients on CUDA, also draw so many random mixes of requests and tell what the"
              + " server reserves and the driver measures.")
  private int mixes;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  public BenchCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    requireIn("repeats", repeats, 1, 1000);
    batches.forEach(batch -> requireIn("batch", batch, 1, 4096));
    List<Integer> counts = batches.stream().distinct().toList();
    SyntheticBench random =
        new SyntheticBench(model, scales, policies, repeats, calibration, decoder);
    if (clients != 0) {
      console.print(Json.pretty(service(counts).run(random)));
      return 0;
    }
    if (model.isSynthetic()) {
      console.print(random.run(budgets, counts, json));
      return 0;
    }
    if (calibration || decoder) {
      throw new UserException(
          "--calibration and --decoder time random models; add --model synth:infinity-2b");
    }
    try (ModelChoice choice = model.choose()) {
      time(choice, counts);
    }
    return 0;
  }

  private ServiceBench service(List<Integer> counts) {
    requireIn("clients", clients, 1, 1000);
    requireIn("seconds", seconds, 0, 3600);
    requireIn("mixes", mixes, 0, 1000);
    if (budgets.size() > 1) {
      throw new UserException("--clients times one budget; name one with --budgets");
    }
    return new ServiceBench(
        model,
        policies,
        budgets.getFirst(),
        counts,
        clients,
        repeats,
        Duration.ofSeconds(seconds),
        mixes,
        console::message);
  }

  private static void requireIn(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new UserException(
          "%s %d is out of range; expected %d to %d".formatted(name, value, least, most));
    }
  }

  private void time(ModelChoice choice, List<Integer> counts) {
    ScaleGrids grids = scales.grids(choice.description());
    List<Timed> timed = timed(choice, grids, counts);
    timed.forEach(one -> MemoryCheck.host(choice, one.request));
    LibTorch library = choice.library();
    timed.forEach(one -> MemoryCheck.device(choice, library, one.request));
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("version", Release.version());
    report.put("libtorch", library.version());
    report.put("model", choice.description().name());
    report.put("device", choice.device());
    report.put("dtype", choice.dtype());
    report.put("threads", library.threads());
    report.put("scales", grids);
    double fp32 = Hardware.gigaflops(library, choice.device(), DType.F32);
    double bf16 = Hardware.gigaflops(library, choice.device(), DType.BF16);
    report.put("gflops_fp32", fp32);
    report.put("gflops_bf16", bf16);
    List<Map<String, Object>> runs = new ArrayList<>();
    long before = library.liveTensors();
    try (ImageGenerator engine = choice.load(library)) {
      for (Timed one : timed) {
        runs.add(run(one, PipelineBenchmark.run(engine, one.request, repeats), fp32, bf16));
      }
    }
    report.put("runs", runs);
    report.put("live_tensors_left", library.liveTensors() - before);
    Hardware.peakResident().ifPresent(bytes -> report.put("peak_resident_bytes", bytes));
    console.print(json ? Json.pretty(report) : text(report, runs));
  }

  /** What is timed, as it was asked for. */
  private record Timed(Cell cell, GenerationRequest request) {}

  private List<Timed> timed(ModelChoice choice, ScaleGrids grids, List<Integer> counts) {
    List<Cell> cells = policies.cells(budgets, choice, grids);
    List<Timed> timed = new ArrayList<>();
    for (int batch : counts) {
      for (Cell cell : cells) {
        timed.add(new Timed(cell, request(choice.description(), grids, batch, cell.cache())));
      }
    }
    return timed;
  }

  private static GenerationRequest request(
      ModelDescription description, ScaleGrids grids, int batch, CachePolicy policy) {
    List<Long> seeds = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      seeds.add(ImageSeeds.of(1, i));
    }
    return new GenerationRequest(
        seeds.stream()
            .map(seed -> new PictureRequest(description.example(), seed, description.sampling()))
            .toList(),
        grids,
        policy);
  }

  private static Map<String, Object> run(
      Timed one, PipelineBenchmark.Result result, double fp32, double bf16) {
    GenerationResult.Timings median = result.median();
    Map<String, Object> run = new LinkedHashMap<>();
    run.put("policy", one.cell.policy());
    run.put("budget", one.cell.budget());
    run.put("batch", one.request.images());
    run.put("text_ms", median.text());
    run.put("scales_ms", median.scales());
    run.put("transformer_ms", median.transformer());
    run.put("decode_ms", median.decode());
    run.put("total_ms", median.total());
    run.put("images_per_second", one.request.images() / median.total() * 1e3);
    run.put("first_ms", result.firstMillis());
    run.put("gflop", result.flops() / 1e9);
    run.put("floor_fp32_ms", result.floorMillis(fp32 * 1e9));
    run.put("floor_bf16_ms", result.floorMillis(bf16 * 1e9));
    run.put("ratio_to_fp32_floor", result.millis() / result.floorMillis(fp32 * 1e9));
    run.putAll(result.kv().toJson());
    run.put("full_kv_bytes", result.fullKvBytes());
    return run;
  }

  private static String text(Map<String, Object> report, List<Map<String, Object>> runs) {
    List<String> lines = new ArrayList<>();
    report.forEach((key, value) -> {
      if (!key.equals("runs")) {
        lines.add("%-20s %s".formatted(key.replace('_', ' '), value));
      }
    });
    lines.add("");
    lines.add(
        "policy          budget  batch  text ms  transformer ms  decode ms  total ms  images/s"
            + "  fp32 floor ms  ratio   KV bytes");
    for (Map<String, Object> run : runs) {
      lines.add(
          String.format(
              Locale.ROOT,
              "%-15s %-7s %5d %8.0f %15.0f %10.0f %9.0f %9.2f %14.0f %6.2f %10d",
              COLUMNS.stream().map(run::get).toArray()));
    }
    return String.join("\n", lines);
  }
}
