package io.heatkv.infinity;

import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A thread that decodes all pictures of a model. cuDNN's plans belong to the thread that made them:
 * so those of the decoder can be made while another thread makes, or uses, the transformer's.
 */
final class DecodingThread implements AutoCloseable {
  private final BsqVae vae;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("decode").factory());

  DecodingThread(BsqVae vae) {
    this.vae = vae;
  }

  /** Runs something before what is decoded next. */
  void begin(Runnable task) {
    thread.execute(task);
  }

  /** See {@link BsqVae#decode}. */
  Tensor decode(Tensor codes) {
    try (Scope pixels = Scope.detached();
        Scope own = Scope.open()) {
      CompletableFuture<Tensor> decoded =
          CompletableFuture.supplyAsync(
              () -> {
                try (Scope _ = Scope.open()) {
                  return pixels.adopt(vae.decode(codes));
                }
              },
              thread);
      return own.keep(own.adopt(decoded.join()));
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  /** Ends after what was begun. */
  @Override
  public void close() {
    thread.close();
  }
}
