package io.heatkv.bench;

import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.KvMemory;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** Times whole generations of a loaded model: text, every scale, pixels. */
public final class PipelineBenchmark {
  private PipelineBenchmark() {}

  /**
   * What a request took.
   *
   * @param median of each stage, milliseconds
   * @param firstMillis the generation before the timed ones, which warms up
   * @param flops of transformer and decoder, with attention to everything, for all pictures
   * @param kv bytes that the cache took
   * @param fullKvBytes storage that the full cache takes
   */
  public record Result(
      GenerationResult.Timings median,
      double firstMillis,
      double flops,
      KvMemory kv,
      long fullKvBytes) {
    /** Milliseconds of transformer and decoder. */
    public double millis() {
      return median.transformer() + median.decode();
    }

    /**
     * Milliseconds that the same operations take at a rate.
     *
     * @param rate floating-point operations a second
     */
    public double floorMillis(double rate) {
      return flops / rate * 1e3;
    }
  }

  /**
   * Draws a request once to warm up, then as often as asked.
   *
   * @param repeats timed generations, at least 1
   */
  public static Result run(ImageGenerator generator, GenerationRequest request, int repeats) {
    GenerationResult first = generator.generate(request, GenerationListener.NONE);
    List<GenerationResult.Timings> timings = new ArrayList<>();
    for (int i = 0; i < repeats; i++) {
      timings.add(generator.generate(request, GenerationListener.NONE).timings());
    }
    List<Double> scales = new ArrayList<>();
    for (int t = 0; t < request.grids().count(); t++) {
      int scale = t;
      scales.add(median(timings, timing -> timing.scales().get(scale)));
    }
    return new Result(
        new GenerationResult.Timings(
            median(timings, GenerationResult.Timings::text),
            scales,
            median(timings, GenerationResult.Timings::decode)),
        first.timings().total(),
        flops(generator, request),
        first.kv(),
        first.fullKvBytes());
  }

  private static double median(
      List<GenerationResult.Timings> timings, ToDoubleFunction<GenerationResult.Timings> stage) {
    double[] sorted = timings.stream().mapToDouble(stage).sorted().toArray();
    return sorted[sorted.length / 2];
  }

  private static double flops(ImageGenerator generator, GenerationRequest request) {
    ModelDescription model = generator.description();
    return model.flops(model.kvShape(request.images(), 2, DType.F32, request.grids()))
        + request.images() * model.decodeFlops(request.grids());
  }
}
