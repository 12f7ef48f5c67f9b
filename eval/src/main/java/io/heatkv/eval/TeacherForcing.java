package io.heatkv.eval;

import io.heatkv.GenerationRequest;
import io.heatkv.ScaleLoop;
import io.heatkv.ScaleObserver;
import io.heatkv.TextToImage;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.infinity.Condition;
import io.heatkv.sample.BitChooser;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;

/**
 * Divergence of the bits' distributions under teacher forcing: every cache sees the same earlier
 * bits, those that the full cache drew, so that one scale's differences don't grow into the next
 * and small losses show that pictures and equal bits hide.
 *
 * <p>For each bit, {@code KL(full || policy) = sum over 0 and 1 of p (log p - log q)} of the
 * softmax of its two logits after guidance and temperature, before top-p, which would make it
 * infinite (Kullback and Leibler, "On information and sufficiency", 1951). Computed in float64,
 * since near equal distributions differ by less than float32 resolves.
 *
 * <p>Holds text features, logits and bits of its pictures on the model's device until closed: 9
 * bytes a bit. A measured policy costs one more run of the transformer. Use it as its model, by one
 * thread at a time.
 */
public final class TeacherForcing implements AutoCloseable {
  private final TextToImage model;
  private final GenerationRequest request;
  private final BooleanSupplier cancelled;
  private final Scope scope = Scope.detached();
  private final List<Tensor> rows = new ArrayList<>();
  private final List<Tensor> logits = new ArrayList<>();
  private final List<Tensor> bits = new ArrayList<>();

  private TeacherForcing(TextToImage model, GenerationRequest request, BooleanSupplier cancelled) {
    this.model = model;
    this.request = request;
    this.cancelled = cancelled;
  }

  /**
   * Draws a request's bits with the full cache; its own policy is not used.
   *
   * @param cancelled asked between scales, here and by {@link #divergence}; true ends the run
   * @throws CancellationException if the run was ended
   * @throws io.heatkv.error.UserException if the request doesn't fit the model
   */
  public static TeacherForcing record(
      TextToImage model, GenerationRequest request, BooleanSupplier cancelled) {
    model.requireDrawable(request.schedule());
    TeacherForcing recorded = new TeacherForcing(model, request, cancelled);
    try {
      recorded.draw();
      return recorded;
    } catch (RuntimeException | Error e) {
      recorded.close();
      throw e;
    }
  }

  private void draw() {
    try (Scope _ = Scope.open()) {
      for (Tensor row : model.rows(request, new ArrayList<>())) {
        rows.add(scope.adopt(row));
      }
      long[] seeds = request.seeds().stream().mapToLong(Long::longValue).toArray();
      try (Condition condition = model.transformer().condition(rows);
          KvCache cache = open(CachePolicy.FULL)) {
        loop().run(condition, request.schedule(), request.sampling(), seeds, cache, new Recorder());
      }
    }
  }

  private ScaleLoop loop() {
    return new ScaleLoop(model.transformer(), model.quantizer());
  }

  private KvCache open(CachePolicy policy) {
    return policy.open(
        model.transformer().backend(), model.transformer().device(), model.kvShape(request));
  }

  /** Keeps copies: what an observer is shown may be a view, and is freed after the scale. */
  private final class Recorder extends Watch {
    @Override
    public void logits(int scale, Tensor raw, Tensor guided) {
      logits.add(scope.adopt(guided.copy()));
    }

    @Override
    public void scaleDone(int scale, Tensor chosen, Tensor sum) {
      bits.add(scope.adopt(chosen.copy()));
      super.scaleDone(scale, chosen, sum);
    }
  }

  /** Ends a cancelled run between scales. */
  private abstract class Watch implements ScaleObserver {
    @Override
    public void scaleDone(int scale, Tensor chosen, Tensor sum) {
      if (cancelled.getAsBoolean()) {
        throw new CancellationException("the run was cancelled");
      }
    }
  }

  /** The bits that the full cache drew, of each scale [images, tokens, bits], 0 or 1. */
  public List<byte[]> bits() {
    return bits.stream().map(Tensor::toBytes).toList();
  }

  /**
   * Runs the recorded bits through another cache.
   *
   * @return of each picture, in the order of the request
   * @throws CancellationException if the run was ended
   * @throws io.heatkv.error.UserException if the policy doesn't fit the model or the schedule
   */
  public List<BitDivergence> divergence(CachePolicy policy) {
    List<double[]> scales = new ArrayList<>();
    ScaleObserver measuring =
        new Watch() {
          @Override
          public void logits(int scale, Tensor raw, Tensor guided) {
            scales.add(means(logits.get(scale), guided));
          }
        };
    BitChooser recorded = (scale, _) -> bits.get(scale);
    try (Scope _ = Scope.open();
        Condition condition = model.transformer().condition(rows);
        KvCache cache = open(policy)) {
      loop()
          .run(
              condition,
              request.schedule(),
              request.sampling(),
              request.images(),
              recorded,
              cache,
              measuring);
    }
    List<BitDivergence> pictures = new ArrayList<>();
    for (int i = 0; i < request.images(); i++) {
      int picture = i;
      pictures.add(
          BitDivergence.of(
              scales.stream().map(means -> means[picture]).toList(), request.schedule()));
    }
    return pictures;
  }

  /**
   * Mean divergence of each picture's bits.
   *
   * @param full [batch, tokens, 2 bits]
   * @param other same shape
   */
  static double[] means(Tensor full, Tensor other) {
    try (Scope _ = Scope.open()) {
      Tensor p = logProbabilities(full);
      Tensor differences = Ops.exp(p).mul(p.sub(logProbabilities(other)));
      // Two summands a bit; rounding may leave a hair less than nothing.
      double[] means = Ops.mean(differences, false, 1, 2).mul(2).toDoubles();
      return Arrays.stream(means).map(mean -> Math.max(0, mean)).toArray();
    }
  }

  /** Log-softmax of each pair [batch, bits of all tokens, 2], float64. */
  private static Tensor logProbabilities(Tensor logits) {
    Tensor pairs = logits.to(DType.F64).reshape(logits.size(0), -1, 2);
    return pairs.sub(Ops.logSumExp(pairs, 2));
  }

  @Override
  public void close() {
    scope.close();
  }
}
