package io.heatkv.benchmarks;

import io.heatkv.Calibrator;
import io.heatkv.DevicePool;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.load.ModelSource;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.resource.CacheFolder;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.HostTuning;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The embedded model drawing one picture on the CPU. Baseline: {@link #full}; a calibrating
 * generation, which measures attention but decodes nothing, may take 1.5 times as long as {@link
 * #full}, and generations under a budget no longer than it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 4)
@Measurement(iterations = 5, time = 4)
public class GenerationBenchmark {
  private static final String PROMPT = "a red apple with a green leaf";
  private static final int SINK_SCALES = 3;
  private static final long SEED = 1;

  private final ModelDescription description = ModelSource.find(ModelSource.EMBEDDED);
  private final ImageGenerator model;
  private final SamplingOptions sampling;
  private final Calibrator calibrator;
  private final Calibrator alone;

  public GenerationBenchmark() {
    HostTuning.apply();
    LibTorch library = LibTorch.open(LibTorchLocation.find(null, CacheFolder.locate()), 0);
    model = new ImageGenerator(description, library, Device.CPU, DType.F32);
    sampling = SamplingOptions.of(description.cfg(), description.tau(), description.topP());
    calibrator = new Calibrator(model, description.grids(), sampling, SINK_SCALES, SEED);
    alone =
        new Calibrator(
            DevicePool.of(List.of(model)), description.grids(), sampling, SINK_SCALES, SEED, false);
  }

  @Benchmark
  public GenerationResult full() {
    return draw(CachePolicy.FULL);
  }

  @Benchmark
  public GenerationResult budget30() {
    return draw(heatKv("0.3"));
  }

  @Benchmark
  public GenerationResult budget10() {
    return draw(heatKv("0.1"));
  }

  /** With what the peers need. */
  @Benchmark
  public PromptMeasurement calibrating() {
    return measure(calibrator);
  }

  @Benchmark
  public PromptMeasurement calibratingHeatKvAlone() {
    return measure(alone);
  }

  private PromptMeasurement measure(Calibrator calibrator) {
    return calibrator.measure(model, PROMPT, SEED, () -> false);
  }

  private GenerationResult draw(CachePolicy policy) {
    GenerationRequest request =
        GenerationRequest.of(
            List.of(PROMPT), Optional.empty(), 1, SEED, description.grids(), sampling, policy);
    return model.generate(request, GenerationListener.NONE);
  }

  private CachePolicy heatKv(String budget) {
    return CachePolicies.create(
        "heatkv",
        new PolicyInputs(
            Budget.parse(budget),
            description.kvShape(DType.F32, description.grids()),
            Optional.empty(),
            () -> ModelProfile.find(description, description.grids(), Optional.empty())));
  }

  @TearDown(Level.Trial)
  public void close() {
    model.close();
  }
}
