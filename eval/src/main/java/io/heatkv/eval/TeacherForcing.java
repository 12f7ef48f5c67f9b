package io.heatkv.eval;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.ScaleObserver;
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
 * Divergence of the tokens' distributions under teacher forcing: every cache sees the same earlier
 * tokens, those that the full cache drew, so that one scale's differences don't grow into the next
 * and small losses show that pictures and equal tokens hide.
 *
 * <p>For each symbol of a token (a bit, or a codebook's entry), {@code KL(full || policy) = sum
 * over choices of p (log p - log q)} of the softmax of its logits after guidance and temperature,
 * before top-p, which would make it infinite (Kullback and Leibler, "On information and
 * sufficiency", 1951). Computed in float64, since near equal distributions differ by less than
 * float32 resolves.
 *
 * <p>Holds logits and tokens of its pictures on the model's device until closed: of bits, 9 bytes
 * each. A measured policy costs one more run of the transformer. Used by one thread at a time.
 */
public final class TeacherForcing implements AutoCloseable {
  private final NextScaleModel model;
  private final Conditioning text;
  private final GenerationRequest request;
  private final BooleanSupplier cancelled;
  private final Drawing drawing;
  private final Scope scope = Scope.detached();
  private final List<Tensor> logits = new ArrayList<>();
  private final List<Tensor> tokens = new ArrayList<>();

  private TeacherForcing(
      NextScaleModel model,
      Conditioning text,
      GenerationRequest request,
      BooleanSupplier cancelled) {
    this.model = model;
    this.text = text;
    this.request = request;
    this.cancelled = cancelled;
    GenerationRequest full = request.with(CachePolicy.FULL);
    try (Generation generation = Generation.open(model, text, full, null, new Recorder())) {
      drawing = Drawing.of(generation, watch());
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  /**
   * Draws a request with the full cache; its own policy is not used.
   *
   * @param text of the request's pictures; must stay open as long as the result
   * @param cancelled asked between scales, here and by {@link #divergence}; true ends the run
   * @throws CancellationException if the run was ended
   * @throws io.heatkv.error.UserException if the request doesn't fit the model
   */
  public static TeacherForcing record(
      NextScaleModel model,
      Conditioning text,
      GenerationRequest request,
      BooleanSupplier cancelled) {
    return new TeacherForcing(model, text, request, cancelled);
  }

  private GenerationListener watch() {
    return new GenerationListener() {
      @Override
      public boolean isCancelled() {
        return cancelled.getAsBoolean();
      }
    };
  }

  /** Keeps copies: what an observer is shown may be a view, and is freed after the scale. */
  private final class Recorder implements ScaleObserver {
    @Override
    public void logits(int scale, Tensor raw, Tensor guided) {
      logits.add(scope.adopt(guided.copy()));
    }

    @Override
    public void scaleDone(int scale, Tensor chosen, Tensor canvas) {
      tokens.add(scope.adopt(chosen.copy()));
    }
  }

  /** What the full cache drew. */
  public Drawing drawing() {
    return drawing;
  }

  /**
   * Runs the recorded tokens through another cache.
   *
   * @return of each picture, in the order of the request
   * @throws CancellationException if the run was ended
   * @throws io.heatkv.error.UserException if the policy doesn't fit the model or the grids
   */
  public List<TokenDivergence> divergence(CachePolicy policy) {
    List<double[]> scales = new ArrayList<>();
    ScaleObserver measuring =
        new ScaleObserver() {
          @Override
          public void logits(int scale, Tensor raw, Tensor guided) {
            scales.add(means(logits.get(scale), guided));
          }
        };
    try (Generation generation =
        Generation.open(
            model, text, request.with(policy), (scale, _) -> tokens.get(scale), measuring)) {
      while (!generation.isDone()) {
        generation.step();
        if (cancelled.getAsBoolean()) {
          throw new CancellationException("the run was cancelled");
        }
      }
    }
    List<TokenDivergence> pictures = new ArrayList<>();
    for (int i = 0; i < request.images(); i++) {
      int picture = i;
      pictures.add(
          TokenDivergence.of(
              scales.stream().map(means -> means[picture]).toList(), request.grids()));
    }
    return pictures;
  }

  /**
   * Mean divergence of each picture's symbols.
   *
   * @param full logits [pictures, tokens, symbols, choices]
   * @param other same shape
   */
  static double[] means(Tensor full, Tensor other) {
    try (Scope _ = Scope.open()) {
      Tensor p = logProbabilities(full);
      Tensor differences = Ops.exp(p).mul(p.sub(logProbabilities(other)));
      // As many summands as choices; rounding may leave a hair less than nothing.
      double[] means = Ops.mean(differences, false, 1, 2).mul((double) full.size(3)).toDoubles();
      return Arrays.stream(means).map(mean -> Math.max(0, mean)).toArray();
    }
  }

  /** Log-softmax of each symbol [pictures, symbols of all tokens, choices], float64. */
  private static Tensor logProbabilities(Tensor logits) {
    Tensor symbols = logits.to(DType.F64).reshape(logits.size(0), -1, logits.size(3));
    return symbols.sub(Ops.logSumExp(symbols, 2));
  }

  @Override
  public void close() {
    scope.close();
  }
}
