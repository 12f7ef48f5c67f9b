package io.heatkv.eval.run;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.eval.Drawing;
import io.heatkv.eval.TeacherForcing;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.ScaleObserver;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * Draws one batch again and again under different policies; its prompts are encoded once. With
 * divergence the full cache is drawn once, and each policy twice: with its own tokens, and with
 * those of the full cache.
 */
final class BatchDrawer implements AutoCloseable {
  private final NextScaleModel model;
  private final GenerationRequest request;
  private final BooleanSupplier cancelled;
  private final Conditioning text;
  private final Drawing full;
  private final Optional<TeacherForcing> forcing;

  /**
   * Draws the batch with the full cache.
   *
   * @param request its own policy is not used
   * @param cancelled asked between scales; true ends a drawing
   * @param divergence whether the divergence of tokens is measured
   * @throws java.util.concurrent.CancellationException if it was cancelled
   */
  BatchDrawer(
      NextScaleModel model,
      GenerationRequest request,
      BooleanSupplier cancelled,
      boolean divergence) {
    this.model = model;
    this.request = request;
    this.cancelled = cancelled;
    text = model.encode(request.pictures(), request.rowsPerPicture() > 1);
    try {
      forcing =
          divergence
              ? Optional.of(TeacherForcing.record(model, text, request, cancelled))
              : Optional.empty();
      full = forcing.map(TeacherForcing::drawing).orElseGet(() -> own(CachePolicy.FULL));
    } catch (RuntimeException | Error e) {
      text.close();
      throw e;
    }
  }

  /** What is to be said about the prompts. */
  List<String> warnings() {
    return text.warnings();
  }

  /** What the full cache drew. */
  Drawing full() {
    return full;
  }

  /**
   * Draws the batch under a policy.
   *
   * @throws java.util.concurrent.CancellationException if it was cancelled
   */
  Drawing draw(CachePolicy policy) {
    return own(policy).with(forcing.map(recorded -> recorded.divergence(policy)).orElse(List.of()));
  }

  private Drawing own(CachePolicy policy) {
    GenerationListener watch =
        new GenerationListener() {
          @Override
          public boolean isCancelled() {
            return cancelled.getAsBoolean();
          }
        };
    try (Generation generation =
        Generation.open(model, text, request.with(policy), null, ScaleObserver.NONE)) {
      return Drawing.of(generation, watch);
    }
  }

  @Override
  public void close() {
    forcing.ifPresent(TeacherForcing::close);
    text.close();
  }
}
