package io.heatkv.eval.run;

import io.heatkv.GenerationRequest;
import io.heatkv.ScaleLoop;
import io.heatkv.ScaleObserver;
import io.heatkv.TextToImage;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.eval.BitDivergence;
import io.heatkv.infinity.Condition;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;

/** Draws one batch again and again under different policies; the text is encoded once. */
final class BatchDrawer implements AutoCloseable {
  private final TextToImage model;
  private final GenerationRequest request;
  private final BooleanSupplier cancelled;
  private final Condition condition;

  /**
   * @param request its own policy is not used
   * @param cancelled asked between scales; true ends a drawing
   * @param warnings gets what is to be said about the prompts
   */
  BatchDrawer(
      TextToImage model,
      GenerationRequest request,
      BooleanSupplier cancelled,
      List<String> warnings) {
    this.model = model;
    this.request = request;
    this.cancelled = cancelled;
    model.requireDrawable(request.schedule());
    try (Scope _ = Scope.open()) {
      condition = model.transformer().condition(model.rows(request, warnings));
    }
  }

  /**
   * Draws the batch.
   *
   * @param divergence of its bits under teacher forcing, for the result
   * @throws CancellationException if it was cancelled
   */
  Drawn draw(CachePolicy policy, List<BitDivergence> divergence) {
    Watch watch = new Watch();
    try (Scope _ = Scope.open()) {
      KvMemory memory;
      Tensor codes;
      InfinityTransformer transformer = model.transformer();
      try (Scope inner = Scope.open();
          KvCache cache =
              policy.open(transformer.backend(), transformer.device(), model.kvShape(request))) {
        watch.begin();
        Tensor drawn =
            new ScaleLoop(transformer, model.quantizer())
                .run(
                    condition,
                    request.schedule(),
                    request.sampling(),
                    request.seeds().stream().mapToLong(Long::longValue).toArray(),
                    cache,
                    watch);
        codes = inner.keep(drawn);
        memory = cache.memory();
      }
      return new Drawn(
          request.prompts(),
          model.decode(codes),
          watch.bits,
          divergence,
          watch.nanos / 1e6,
          memory);
    }
  }

  /** Times the scales without reading their bits, which it remembers. */
  private final class Watch implements ScaleObserver {
    private final List<byte[]> bits = new ArrayList<>();
    private long nanos;
    private long start;

    void begin() {
      model.transformer().backend().synchronize(model.transformer().device());
      start = System.nanoTime();
    }

    @Override
    public void scaleDone(int scale, Tensor chosen, Tensor sum) {
      model.transformer().backend().synchronize(model.transformer().device());
      nanos += System.nanoTime() - start;
      bits.add(chosen.toBytes());
      if (cancelled.getAsBoolean()) {
        throw new CancellationException("the evaluation was cancelled");
      }
      start = System.nanoTime();
    }
  }

  @Override
  public void close() {
    condition.close();
  }
}
