package io.heatkv.benchmarks;

import io.heatkv.sample.BitNoise;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Uniforms of the last scale of Infinity-2B: 4,096 tokens of 32 bits. Baseline: java.util.Random.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class NoiseBenchmark {
  private static final int LAST_SCALE = 12;
  private static final int TOKENS = 4096;
  private static final int BITS = 32;

  private final float[] uniforms = new float[TOKENS * BITS];

  @Benchmark
  public float[] counterBased() {
    BitNoise.fill(uniforms, 0, 1, LAST_SCALE, TOKENS, BITS);
    return uniforms;
  }

  @Benchmark
  public float[] baseline() {
    Random random = new Random(1);
    for (int i = 0; i < uniforms.length; i++) {
      uniforms[i] = random.nextFloat();
    }
    return uniforms;
  }
}
