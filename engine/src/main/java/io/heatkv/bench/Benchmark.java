package io.heatkv.bench;

import io.heatkv.SamplingOptions;
import io.heatkv.ScaleLoop;
import io.heatkv.ScaleObserver;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.model.Condition;
import io.heatkv.model.InfinityTransformer;
import io.heatkv.model.TransformerConfig;
import io.heatkv.model.TransformerKeys;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.vae.BsqVae;
import io.heatkv.vae.MultiScaleBsq;
import io.heatkv.vae.VaeConfig;
import io.heatkv.vae.VaeKeys;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Times generations of a random model on one device. */
public final class Benchmark implements AutoCloseable {
  private static final long SEED = 1;
  private static final int REPEATS = 5;
  // Sizes of the official image tokenizer.
  private static final List<Integer> MULTIPLIERS = List.of(1, 2, 4, 4, 4);

  private final Backend backend;
  private final Device device;
  private final DType dtype;
  private final double ceiling;
  private final long idleFree;
  private final long weightBytes;
  private final RandomCheckpoint weights;
  private final InfinityTransformer transformer;

  /**
   * Makes a random model.
   *
   * @throws io.heatkv.error.UserException if the device can't be used
   */
  public Benchmark(TransformerConfig config, Backend backend, Device device, DType dtype) {
    this.backend = backend;
    this.device = device;
    this.dtype = dtype;
    backend.require(device);
    ceiling = ceiling();
    idleFree = free();
    weights =
        new RandomCheckpoint(
            TransformerKeys.shapes(config, Math.max(1, config.textChannels() / 128)), SEED);
    transformer = new InfinityTransformer(config, weights, backend, device, dtype);
    weightBytes = taken();
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

  /** Times a workload on this model. */
  public Measurement run(Workload workload) {
    List<List<Double>> millis = new ArrayList<>();
    KvMemory kv = new KvMemory(0, 0, 0);
    long early = 0;
    double first = 0;
    for (int i = 0; i <= workload.repeats(); i++) {
      List<Double> scales = new ArrayList<>();
      kv = generate(workload, scales);
      if (i == 0) {
        first = scales.stream().mapToDouble(Double::doubleValue).sum();
      } else {
        millis.add(scales);
      }
      if (i <= 1) {
        early = taken();
      }
    }
    List<Double> medians = new ArrayList<>();
    for (int t = 0; t < workload.schedule().count(); t++) {
      int scale = t;
      medians.add(median(millis.stream().map(scales -> scales.get(scale)).toList()));
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
        medians,
        first,
        ceiling,
        kv,
        weightBytes,
        peak,
        device.isCuda() ? peak - early : -1);
  }

  private KvMemory generate(Workload workload, List<Double> scales) {
    TransformerConfig config = transformer.config();
    KvShape shape =
        new KvShape(
            config.depth(),
            workload.rows(),
            config.heads(),
            config.headDim(),
            dtype,
            workload.schedule());
    long[] seeds = new long[workload.images()];
    for (int i = 0; i < seeds.length; i++) {
      seeds[i] = SEED + i;
    }
    try (Scope _ = Scope.open();
        Condition condition = transformer.condition(text(workload));
        KvCache cache = workload.policy().open(backend, device, shape)) {
      backend.synchronize(device);
      new ScaleLoop(transformer, new MultiScaleBsq(config.bits(), config.spatialPatchify()))
          .run(
              condition,
              workload.schedule(),
              SamplingOptions.of(3, 1, 0.97),
              seeds,
              cache,
              new Clock(scales));
      return cache.memory();
    }
  }

  private List<Tensor> text(Workload workload) {
    int tokens = workload.textTokens();
    List<Tensor> rows = new ArrayList<>();
    Tensor prompt = noise(tokens, transformer.config().textChannels());
    rows.addAll(Collections.nCopies(workload.images(), prompt));
    rows.addAll(Collections.nCopies(workload.images(), transformer.unconditional(tokens)));
    return rows;
  }

  /** Milliseconds between the ends of scales. */
  private final class Clock implements ScaleObserver {
    private final List<Double> scales;
    private long start = System.nanoTime();

    Clock(List<Double> scales) {
      this.scales = scales;
    }

    @Override
    public void scaleDone(int scale, Tensor bits, Tensor sum) {
      backend.synchronize(device);
      long now = System.nanoTime();
      scales.add((now - start) / 1e6);
      start = now;
    }
  }

  /**
   * Median milliseconds that the official image tokenizer's decoder, with random weights, takes for
   * a picture.
   *
   * @param edge of the square picture in pixels, a multiple of 16
   * @param type of its weights and activations
   */
  public double decodeMillis(int edge, DType type) {
    int bits = transformer.config().bits();
    VaeConfig config = new VaeConfig(bits, 128, MULTIPLIERS, List.of(), 2, 16);
    try (RandomCheckpoint random = new RandomCheckpoint(VaeKeys.decoder(config), SEED);
        BsqVae vae = new BsqVae(config, random, backend, device, type);
        Scope _ = Scope.open()) {
      Tensor codes =
          noise(bits, edge / 16 * (edge / 16)).reshape(1, bits, edge / 16, edge / 16).to(device);
      return median(() -> {
        try (Scope _ = Scope.open()) {
          vae.decode(codes);
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
    transformer.close();
    weights.close();
  }
}
