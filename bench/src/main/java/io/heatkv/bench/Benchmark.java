package io.heatkv.bench;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.calibrate.Observation;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.load.RandomModel;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceTrace;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Times generations of a random model on one device. */
public final class Benchmark implements AutoCloseable {
  private static final long SEED = 1;
  private static final int REPEATS = 5;
  private static final double TINY_BUDGET = 0.7;

  private final Backend backend;
  private final Device device;
  private final DType dtype;
  private final long total;
  private final long idleFree;
  private final long libraries;
  private final double ceiling;
  private final RandomModel sizes;
  private final NextScaleModel model;

  /**
   * Loads a random model.
   *
   * @throws io.heatkv.error.UserException if the device can't be used
   */
  public Benchmark(RandomModel sizes, Backend backend, Device device, DType dtype) {
    this.sizes = sizes;
    this.backend = backend;
    this.device = device;
    this.dtype = dtype;
    backend.require(device);
    total = device.isCuda() ? backend.memory(device).total() : -1;
    idleFree = free();
    libraries = device.isCuda() ? libraries(sizes.tiny()) : -1;
    ceiling = ceiling();
    model = sizes.load(backend, device, dtype);
  }

  /** What kernels and workspaces take: what a model of no size worth mentioning leaves behind. */
  private long libraries(RandomModel like) {
    try (NextScaleModel tiny = like.load(backend, device, dtype)) {
      KvShape kv = like.kvShape(dtype, like.grids());
      ScheduleShape shape = ScheduleShape.of(kv.layers(), kv.heads(), like.grids(), 1);
      CachePolicy pruned =
          new HeatKvPolicy(
              PruningSchedule.of(shape, RandomOrders.of(shape, SEED), TINY_BUDGET), KvStorage.HALF);
      for (CachePolicy policy : List.of(CachePolicy.FULL, pruned)) {
        generate(tiny, new Workload(like, like.grids(), 1, policy, 1), _ -> {});
      }
      return taken();
    }
  }

  /** Operations a second of a matrix product that fills the device. */
  private double ceiling() {
    int size = device.isCuda() ? 8192 : 1024;
    try (Scope _ = Scope.open()) {
      Tensor a = Tensor.full(backend, 0, dtype, device, size, size);
      a.copyFrom(noise(size, size));
      double millis =
          median(() -> {
            try (Scope _ = Scope.open()) {
              Ops.matmul(a, a);
            }
          });
      return 2.0 * size * size * size / millis * 1e3;
    }
  }

  private Tensor noise(int rows, int columns) {
    float[] values = new float[rows * columns];
    java.util.Random random = new java.util.Random(SEED);
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    return Tensor.of(backend, values, rows, columns);
  }

  private long free() {
    return device.isCuda() ? backend.memory(device).free() : -1;
  }

  private long taken() {
    return device.isCuda() ? idleFree - free() : -1;
  }

  /**
   * Times a workload on this model. Peaks are those of all workloads so far, so that small ones
   * should come first.
   */
  public Measurement run(Workload workload) {
    List<List<Double>> millis = new ArrayList<>();
    KvMemory kv = KvMemory.NONE;
    long early = 0;
    double first = 0;
    for (int i = 0; i <= workload.repeats(); i++) {
      List<Double> scales = new ArrayList<>();
      kv = generate(model, workload, scales::add);
      if (i == 0) {
        first = scales.stream().mapToDouble(Double::doubleValue).sum();
      } else {
        millis.add(scales);
      }
      if (i <= 1) {
        early = taken();
      }
    }
    long peak = taken();
    return new Measurement(
        workload,
        device
            + ", "
            + dtype
            + ", "
            + backend.description()
            + ", "
            + backend.ops(device).description(),
        medians(workload, millis),
        first,
        busy(workload, workload.policy(), ScaleObserver.NONE),
        ceiling,
        kv,
        workload.memory(dtype, device),
        device.isCuda()
            ? new Measurement.Memory(total - idleFree, libraries, peak, peak - early)
            : Measurement.Memory.UNKNOWN);
  }

  private static List<Double> medians(Workload workload, List<List<Double>> millis) {
    List<Double> medians = new ArrayList<>();
    for (int t = 0; t < workload.grids().count(); t++) {
      int scale = t;
      medians.add(median(millis.stream().map(scales -> scales.get(scale)).toList()));
    }
    return medians;
  }

  /** What the device executes in each scale, in a generation of its own: listening slows it. */
  private List<DeviceTrace.Activity> busy(
      Workload workload, CachePolicy policy, ScaleObserver observer) {
    List<DeviceTrace.Activity> scales = new ArrayList<>();
    try (DeviceTrace trace = backend.trace(device)) {
      if (trace != null) {
        generate(model, workload, policy, observer, _ -> scales.add(trace.next()));
      }
    }
    return scales;
  }

  /**
   * What calibrating by one prompt takes.
   *
   * @param millis of the transformer's scales, the sum of their medians
   * @param busy what the device executed in each scale; empty where it doesn't tell
   */
  public record Calibration(double millis, List<DeviceTrace.Activity> busy) {
    public Calibration {
      busy = List.copyOf(busy);
    }
  }

  /**
   * Times a calibration by one prompt.
   *
   * @param workload whose policy doesn't count
   * @param sinkScales that aren't measured
   * @param peers whether to measure what HeatKV's peers need too
   */
  public Calibration calibrate(Workload workload, int sinkScales, boolean peers) {
    List<List<Double>> millis = new ArrayList<>();
    for (int i = 0; i <= workload.repeats(); i++) {
      List<Double> scales = new ArrayList<>();
      Observation observation = new Observation(sinkScales, peers);
      generate(model, workload, observation, observation, scales::add);
      if (i > 0) {
        millis.add(scales);
      }
    }
    Observation observation = new Observation(sinkScales, peers);
    return new Calibration(
        medians(workload, millis).stream().mapToDouble(Double::doubleValue).sum(),
        busy(workload, observation, observation));
  }

  private static KvMemory generate(
      NextScaleModel drawn, Workload workload, Consumer<Double> scaleDone) {
    return generate(drawn, workload, workload.policy(), ScaleObserver.NONE, scaleDone);
  }

  /**
   * Draws once.
   *
   * @param scaleDone is given the milliseconds of each scale when it is drawn
   */
  private static KvMemory generate(
      NextScaleModel drawn,
      Workload workload,
      CachePolicy policy,
      ScaleObserver observer,
      Consumer<Double> scaleDone) {
    GenerationRequest request =
        GenerationRequest.of(
            List.of(workload.model().example()),
            Optional.empty(),
            workload.images(),
            SEED,
            workload.grids(),
            workload.model().sampling(),
            policy);
    try (Conditioning text = drawn.encode(request.pictures(), true);
        Generation generation = Generation.open(drawn, text, request, null, observer)) {
      while (!generation.isDone()) {
        long start = System.nanoTime();
        generation.step();
        scaleDone.accept((System.nanoTime() - start) / 1e6);
      }
      return generation.memory();
    }
  }

  /**
   * Median milliseconds that the image tokenizer's decoder, with random weights, takes for a
   * picture.
   *
   * @param grids whose last one it shows
   */
  public double decodeMillis(ScaleGrids grids) {
    PictureRequest picture = new PictureRequest(sizes.example(), SEED, sizes.sampling());
    try (Conditioning text = model.encode(List.of(picture), true);
        Pass pass = text.begin(grids)) {
      return median(() -> {
        try (Scope _ = Scope.open()) {
          model.decode(pass.canvas());
        }
      });
    }
  }

  /** Median milliseconds of a step until the device is done, after one that warms up. */
  private double median(Runnable step) {
    List<Double> millis = new ArrayList<>();
    for (int i = 0; i <= REPEATS; i++) {
      backend.synchronize(device);
      long start = System.nanoTime();
      step.run();
      backend.synchronize(device);
      if (i > 0) {
        millis.add((System.nanoTime() - start) / 1e6);
      }
    }
    return median(millis);
  }

  private static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    return sorted.get(sorted.size() / 2);
  }

  @Override
  public void close() {
    model.close();
  }
}
