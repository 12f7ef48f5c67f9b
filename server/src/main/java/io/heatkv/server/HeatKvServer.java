package io.heatkv.server;

import io.heatkv.GenerationResult;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.server.core.Form;
import io.heatkv.server.core.Forms;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.Scheduler;
import io.heatkv.server.core.SchedulerListener;
import io.heatkv.server.core.SchedulerStatus;
import io.heatkv.server.core.ServedModel;
import io.heatkv.server.http.HttpService;
import io.heatkv.server.http.ServerMetrics;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A model served over HTTP.
 *
 * <pre>{@code
 * try (HeatKvServer server = HeatKvServer.start(model, limits, options, "1.0", System.err::println)) {
 *   server.failure().join();
 * }
 * }</pre>
 */
public final class HeatKvServer implements AutoCloseable {
  private static final int EVENT_LOOPS = 2;
  private static final int MAX_HEADERS = 16 << 10;
  private static final int MAX_LINE = 4096;
  // Longer than clients wait for a picture.
  private static final int IDLE_SECONDS = 900;
  private static final long STOP_SECONDS = 10;

  private final ServerOptions options;
  private final Vertx vertx;
  private final ServerMetrics metrics = new ServerMetrics();
  private final Scheduler scheduler;
  private final HttpService service;
  private final AtomicInteger connections = new AtomicInteger();
  private final CompletableFuture<Throwable> failure = new CompletableFuture<>();
  private @Nullable HttpServer server;
  private @Nullable HttpServer observed;

  private HeatKvServer(
      ServedModel model,
      Limits limits,
      ServerOptions options,
      String version,
      Consumer<String> log) {
    this.options = options;
    Forms forms = new Forms(model);
    Form usual =
        options
            .budget()
            .map(budget -> forms.of(model.grids(), options.policy(), budget, model.sampling()))
            .orElseGet(() -> forms.whole(model.grids(), CachePolicy.FULL.name(), model.sampling()));
    scheduler = Scheduler.start(model, limits, new Listener(), usual, sample(model));
    metrics.watch(scheduler, model, version);
    vertx =
        Vertx.vertx(
            new VertxOptions()
                .setEventLoopPoolSize(EVENT_LOOPS)
                .setWorkerPoolSize(1)
                .setUseDaemonThread(true)
                // Nothing is read from files, so no folder for copies of them is made.
                .setFileSystemOptions(
                    new FileSystemOptions()
                        .setFileCachingEnabled(false)
                        .setClassPathResolvingEnabled(false)));
    service = new HttpService(vertx, model, forms, scheduler, options, metrics, log);
  }

  /** Tells the metrics, and whoever waits for the device to fail. */
  private final class Listener implements SchedulerListener {
    @Override
    public void passBegins(Form form, int pictures) {
      metrics.passBegins(form, pictures);
    }

    @Override
    public void passDrawn(Form form, int pictures, GenerationResult result, double partialSeconds) {
      metrics.passDrawn(form, pictures, result, partialSeconds);
    }

    @Override
    public void jobStarts(Job job) {
      metrics.jobStarts(job);
    }

    @Override
    public void cancelled(Job.State phase) {
      metrics.cancelled(phase);
    }

    @Override
    public void deviceFailed(Throwable problem, boolean usable) {
      metrics.deviceFailed(problem, usable);
      if (!usable) {
        failure.complete(problem);
      }
    }
  }

  private static PictureRequest sample(ServedModel model) {
    return new PictureRequest(model.samplePrompt(), 0, model.sampling());
  }

  /**
   * Starts to listen; the device measures its batch meanwhile.
   *
   * @param version for the metrics
   * @param log takes a line of JSON for each request
   * @throws UserException if the port is taken, or a picture of the usual form doesn't fit
   */
  public static HeatKvServer start(
      ServedModel model,
      Limits limits,
      ServerOptions options,
      String version,
      Consumer<String> log) {
    HeatKvServer started = new HeatKvServer(model, limits, options, version, log);
    try {
      started.server = started.listen(options.port(), started.service::handle);
      if (options.metricsPort().isPresent()) {
        started.observed =
            started.listen(options.metricsPort().getAsInt(), started.service::handleMetrics);
      }
      return started;
    } catch (RuntimeException e) {
      started.close();
      throw e;
    }
  }

  private HttpServer listen(int port, Handler<HttpServerRequest> handler) {
    HttpServer listening =
        vertx
            .createHttpServer(
                new HttpServerOptions()
                    .setHost(options.host())
                    .setPort(port)
                    .setHttp2ClearTextEnabled(false)
                    .setMaxHeaderSize(MAX_HEADERS)
                    .setMaxInitialLineLength(MAX_LINE)
                    .setIdleTimeout(IDLE_SECONDS)
                    .setHandle100ContinueAutomatically(true))
            .connectionHandler(this::count)
            .exceptionHandler(_ -> {})
            .requestHandler(handler);
    try {
      return await(listening.listen());
    } catch (IllegalStateException e) {
      throw new UserException(
          "can't listen at %s:%d (%s); choose another port or address"
              .formatted(
                  options.host(), port, String.valueOf(e.getCause()).replaceFirst("^.*?: ", "")),
          e);
    }
  }

  private void count(HttpConnection connection) {
    if (connections.incrementAndGet() > options.connections()) {
      var _ = connection.close();
    }
    connection.closeHandler(_ -> connections.decrementAndGet());
  }

  private static <T> T await(Future<T> future) {
    try {
      return future.toCompletionStage().toCompletableFuture().get(STOP_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } catch (TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Port that it listens at. */
  public int port() {
    return server == null ? 0 : server.actualPort();
  }

  /** Port of metrics and health, or 0. */
  public int metricsPort() {
    return observed == null ? 0 : observed.actualPort();
  }

  /** What the device is doing. */
  public SchedulerStatus status() {
    return scheduler.status();
  }

  /** Completes if the device fails for good, which ends the server's use. */
  public CompletableFuture<Throwable> failure() {
    return failure;
  }

  /** Draws what was accepted, as long as the options allow, cancels the rest and stops. */
  @Override
  public void close() {
    boolean _ = scheduler.drain(options.drain());
    scheduler.close();
    stop(server);
    stop(observed);
    service.close();
    try {
      var _ = await(vertx.close());
    } catch (IllegalStateException _) {
      // It stops with the process.
    }
    metrics.close();
  }

  private static void stop(@Nullable HttpServer listening) {
    if (listening != null) {
      try {
        // Answers that are being written still have a moment.
        var _ = await(listening.shutdown(2, TimeUnit.SECONDS));
      } catch (IllegalStateException _) {
        // Nothing is left to wait for.
      }
    }
  }
}
