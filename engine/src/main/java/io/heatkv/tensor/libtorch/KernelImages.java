package io.heatkv.tensor.libtorch;

import io.heatkv.resource.DiskCache;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/**
 * Machine code of kernels. It is compiled once on a machine, for all devices of a kind, and kept in
 * the cache folder; what is asked for before it is needed is compiled beside other work.
 */
final class KernelImages {
  /** What makes machine code of source: NVRTC, another in tests. */
  interface Compiler {
    String version() throws CudaCompiler.Unavailable;

    byte[] compile(String source, List<String> options) throws CudaCompiler.Unavailable;
  }

  /**
   * What an image is made of.
   *
   * @param options of the compiler, the architecture among them
   */
  record Wanted(String source, List<String> options) {}

  private final Compiler compiler;
  private final DiskCache kept;
  private final Map<Wanted, CompletableFuture<byte[]>> images = new ConcurrentHashMap<>();

  KernelImages(Compiler compiler, DiskCache kept) {
    this.compiler = compiler;
    this.kept = kept;
  }

  /** Begins to make an image; {@link #get} waits for it. */
  void begin(Wanted wanted) {
    CompletableFuture<byte[]> own = new CompletableFuture<>();
    if (images.putIfAbsent(wanted, own) != null) {
      return;
    }
    // A process that ends waits: the compiler's library must not be torn down while it works.
    CountDownLatch done = new CountDownLatch(1);
    Thread end = Thread.ofPlatform().unstarted(() -> await(done));
    try {
      Runtime.getRuntime().addShutdownHook(end);
    } catch (IllegalStateException e) {
      own.completeExceptionally(e);
      return;
    }
    Runnable work =
        () -> {
          complete(own, wanted);
          done.countDown();
          try {
            Runtime.getRuntime().removeShutdownHook(end);
          } catch (IllegalStateException _) {
            // It is ending.
          }
        };
    Thread.ofPlatform().name("compile-kernels").daemon().start(work);
  }

  private static void await(CountDownLatch done) {
    try {
      done.await();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  /** The image, made now unless it is there or under way. */
  byte[] get(Wanted wanted) throws CudaCompiler.Unavailable {
    CompletableFuture<byte[]> own = new CompletableFuture<>();
    CompletableFuture<byte[]> first = images.putIfAbsent(wanted, own);
    if (first == null) {
      complete(own, wanted);
    }
    try {
      return (first == null ? own : first).join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case CudaCompiler.Unavailable cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  /** Compiles an image that was refused, whatever is kept. */
  byte[] anew(Wanted wanted) throws CudaCompiler.Unavailable {
    byte[] image = compiler.compile(wanted.source, wanted.options);
    kept.put(key(wanted), image);
    images.put(wanted, CompletableFuture.completedFuture(image));
    return image;
  }

  private void complete(CompletableFuture<byte[]> image, Wanted wanted) {
    try {
      image.complete(make(wanted));
    } catch (CudaCompiler.Unavailable | RuntimeException | Error e) {
      image.completeExceptionally(e);
    }
  }

  private byte[] make(Wanted wanted) throws CudaCompiler.Unavailable {
    String key = key(wanted);
    byte[] known = kept.get(key).orElse(null);
    if (known == null) {
      known = compiler.compile(wanted.source, wanted.options);
      kept.put(key, known);
    }
    return known;
  }

  private String key(Wanted wanted) throws CudaCompiler.Unavailable {
    return DiskCache.key(
        "NVRTC " + compiler.version(), String.join("\n", wanted.options), wanted.source);
  }
}
