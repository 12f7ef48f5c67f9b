package io.heatkv.server.http;

import io.heatkv.PictureSizes;
import io.heatkv.json.JsonValue;
import io.heatkv.policy.CachePolicies;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Forms;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.JobEvent;
import io.heatkv.server.core.Refusal;
import io.heatkv.server.core.Scheduler;
import io.heatkv.server.core.SchedulerStatus;
import io.heatkv.server.core.ServedModel;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Answers requests. The event loop only reads and writes; all else is done by other threads. */
public final class HttpService implements AutoCloseable {
  private static final int MAX_BODY = 256 << 10;
  private static final long BODY_MILLIS = 30_000;
  private static final Duration STALLED = Duration.ofSeconds(60);
  private static final String JOBS = "/v1/jobs/";

  private final Vertx vertx;
  private final ServedModel model;
  private final Scheduler scheduler;
  private final ServerOptions options;
  private final ServerMetrics metrics;
  private final Consumer<String> log;
  private final Gate gate;
  private final PictureSizes sizes;
  private final ImagesRequest requests;
  private final JobEndpoint jobs;
  private final Optional<CalibrationProfile> profile;
  private final Map<String, Object> described;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();

  /**
   * @param log takes a line of JSON for each request
   */
  public HttpService(
      Vertx vertx,
      ServedModel model,
      Forms forms,
      Scheduler scheduler,
      ServerOptions options,
      ServerMetrics metrics,
      Consumer<String> log) {
    this.vertx = vertx;
    this.model = model;
    this.scheduler = scheduler;
    this.options = options;
    this.metrics = metrics;
    this.log = log;
    gate = new Gate(options);
    sizes = new PictureSizes(model.model(), model.offeredGrids(), model.pixelsPerToken());
    requests = new ImagesRequest(model, forms, sizes, scheduler, options);
    jobs = new JobEndpoint(vertx, scheduler, new JobStore(options.kept()));
    profile = model.profile();
    described = describe();
  }

  /** Answers a request on the port of all. */
  public void handle(HttpServerRequest request) {
    Exchange exchange = begin(request);
    guarded(
        exchange,
        () -> {
          gate.requireOwnSite(request);
          route(exchange);
        });
  }

  /** Answers a request on the port of metrics and health. */
  public void handleMetrics(HttpServerRequest request) {
    Exchange exchange = begin(request);
    guarded(
        exchange,
        () -> {
          if (!observe(exchange)) {
            throw ApiException.notFound("there are /metrics, /healthz and /readyz here");
          }
        });
  }

  private Exchange begin(HttpServerRequest request) {
    Exchange exchange =
        new Exchange(
            request,
            Objects.requireNonNull(Vertx.currentContext()),
            answered -> done(answered, answered.status()));
    request.exceptionHandler(_ -> {});
    // 499 is what proxies write for a client that has left.
    exchange.onLeft(() -> done(exchange, 499));
    return exchange;
  }

  private void guarded(Exchange exchange, Runnable action) {
    try {
      action.run();
    } catch (ApiException e) {
      exchange.fail(e);
    } catch (Refusal e) {
      exchange.fail(ApiException.of(e));
    } catch (RuntimeException e) {
      exchange.note("exception", e.toString());
      exchange.fail(ApiException.of(e));
    }
  }

  private void done(Exchange exchange, int status) {
    String route = routeOf(exchange.request().path());
    metrics.answered(route, status, exchange.seconds());
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("time", Instant.now());
    line.put("method", exchange.request().method().name());
    line.put("route", route);
    line.put("status", status);
    line.put("seconds", exchange.seconds());
    line.put("request_id", exchange.trace().spanId());
    line.put("trace_id", exchange.trace().traceId());
    line.putAll(exchange.notes());
    log.accept(JsonValue.line(line));
  }

  /** A bounded set of names, whatever is asked for; ids stay out of metrics and logs. */
  private static String routeOf(@Nullable String path) {
    return switch (path) {
      case null -> "other";
      case "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/images/generations", "/v1/jobs" ->
          path;
      case String job when job.startsWith(JOBS) -> "/v1/jobs/*";
      case String other -> PageFiles.at(other).isPresent() ? "page" : "other";
    };
  }

  private boolean observe(Exchange exchange) {
    switch (String.valueOf(exchange.request().path())) {
      case "/healthz" -> {
        requireMethod(exchange, HttpMethod.GET);
        exchange.json(200, Map.of("status", "ok"));
      }
      case "/readyz" -> {
        requireMethod(exchange, HttpMethod.GET);
        ready(exchange);
      }
      case "/metrics" -> {
        requireMethod(exchange, HttpMethod.GET);
        exchange.send(
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            Buffer.buffer(metrics.text()),
            Map.of());
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private void ready(Exchange exchange) {
    SchedulerStatus status = scheduler.status();
    boolean alive =
        status.sinceBeat().compareTo(max(STALLED, status.longestStep().multipliedBy(5))) < 0;
    boolean ready = alive && status.state() == SchedulerStatus.Health.READY;
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("status", alive ? status.state().toString().toLowerCase(Locale.ROOT) : "stalled");
    json.put("running", status.running());
    json.put("waiting", status.waiting());
    json.put("heartbeat_age_seconds", status.sinceBeat().toNanos() / 1e9);
    exchange.json(ready ? 200 : 503, json);
  }

  private static Duration max(Duration a, Duration b) {
    return a.compareTo(b) > 0 ? a : b;
  }

  private void route(Exchange exchange) {
    HttpServerRequest request = exchange.request();
    String path = String.valueOf(request.path());
    Optional<PageFiles.File> file = PageFiles.at(path);
    if (file.isPresent()) {
      requireMethod(exchange, HttpMethod.GET);
      exchange.send(200, file.get().type(), file.get().content(), Map.of());
      return;
    }
    if (path.equals("/healthz") || path.equals("/readyz")) {
      observe(exchange);
      return;
    }
    String owner = gate.requireKey(request);
    if (observe(exchange)) {
      return;
    }
    switch (path) {
      case "/v1/models" -> {
        requireMethod(exchange, HttpMethod.GET);
        exchange.json(200, Map.of("object", "list", "data", List.of(described)));
      }
      case "/v1/profile" -> {
        requireMethod(exchange, HttpMethod.GET);
        workers.execute(() -> guarded(exchange, () -> profile(exchange)));
      }
      case "/v1/images/generations" -> {
        requireMethod(exchange, HttpMethod.POST);
        readBody(exchange, owner, body -> draw(exchange, body));
      }
      case "/v1/jobs" -> {
        requireMethod(exchange, HttpMethod.POST);
        readBody(exchange, owner, body -> jobs.create(exchange, owner, submit(exchange, body)));
      }
      default -> {
        if (path.startsWith(JOBS)) {
          jobs.handle(exchange, owner, path.substring(JOBS.length()));
        } else if (path.equals("/v1/models/" + model.id())) {
          exchange.json(200, described);
        } else {
          throw ApiException.notFound(
              "there is nothing here; see docs/server.md for what there is");
        }
      }
    }
  }

  static void requireMethod(Exchange exchange, HttpMethod method) {
    HttpMethod asked = exchange.request().method();
    if (!asked.equals(method)
        && !(method.equals(HttpMethod.GET) && asked.equals(HttpMethod.HEAD))) {
      throw ApiException.of(405, "method_not_allowed", "expected " + method.name())
          .with("Allow", method.name());
    }
  }

  /** What the page and clients are told of the model; it never changes. */
  private Map<String, Object> describe() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("id", model.id());
    json.put("object", "model");
    json.put("created", 0);
    json.put("owned_by", "heatkv");
    json.put("example", model.samplePrompt());
    json.put("sizes", sizes.all().stream().map(Object::toString).toList());
    json.put("policies", CachePolicies.names());
    json.put(
        "whole_policies",
        CachePolicies.names().stream()
            .filter(name -> CachePolicies.whole(name).isPresent())
            .toList());
    json.put("policy", options.policy());
    json.put("kv_budget", options.budget().orElse(null));
    json.put("guidance_scale", model.sampling().cfg(0));
    json.put("scales", model.grids().count());
    json.put("max_n", options.maxImages());
    json.put("calibrated", profile.isPresent());
    return json;
  }

  private void profile(Exchange exchange) {
    CalibrationProfile found =
        profile.orElseThrow(() -> ApiException.notFound("the model has no calibration"));
    String budget = exchange.request().getParam("kv_budget");
    exchange.json(
        200,
        ProfileAnswer.of(
            found,
            budget == null || budget.length() > 32
                ? Optional.empty()
                : requests.policy(budget).schedule()));
  }

  /** Reads a body of JSON, then goes on by another thread. */
  private void readBody(Exchange exchange, String owner, Consumer<String> next) {
    HttpServerRequest request = exchange.request();
    try {
      gate.requireRate(owner, request);
    } catch (ApiException e) {
      metrics.rejected(e.code());
      throw e;
    }
    String type = String.valueOf(request.getHeader("Content-Type"));
    if (!type.matches("(?i)application/json\\s*(;.*)?")) {
      throw ApiException.of(
          415, "unsupported_media_type", "expected Content-Type: application/json");
    }
    Buffer body = Buffer.buffer();
    long slow =
        vertx.setTimer(
            BODY_MILLIS,
            _ ->
                exchange.failAndClose(ApiException.of(408, "timeout", "the body came too slowly")));
    request.handler(part -> {
      if (body.length() + part.length() > MAX_BODY) {
        vertx.cancelTimer(slow);
        request.handler(_ -> {}).endHandler(_ -> {});
        exchange.failAndClose(
            ApiException.of(
                413, "too_large", "the body has more than %d bytes".formatted(MAX_BODY)));
      } else {
        body.appendBuffer(part);
      }
    });
    request.endHandler(_ -> {
      vertx.cancelTimer(slow);
      workers.execute(() -> guarded(exchange, () -> next.accept(text(body))));
    });
    exchange.onLeft(() -> vertx.cancelTimer(slow));
  }

  private static String text(Buffer body) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(body.getBytes()))
          .toString();
    } catch (CharacterCodingException e) {
      throw ApiException.invalid(null, "invalid_json", "the body isn't UTF-8");
    }
  }

  /** Reads and queues a job. */
  private ImagesRequest.Read submit(Exchange exchange, String body) {
    try {
      ImagesRequest.Read read = requests.read(body);
      note(exchange, read.job());
      scheduler.submit(read.job());
      return read;
    } catch (ApiException e) {
      metrics.rejected(e.code());
      throw e;
    } catch (Refusal e) {
      metrics.rejected(ApiException.of(e).code());
      throw e;
    }
  }

  private void note(Exchange exchange, Job job) {
    exchange.note("pictures", job.pictures().size());
    exchange.note("policy", job.form().policy().name());
    exchange.note("kv_bytes_a_picture", job.form().need(1).cache());
    if (options.logPrompts()) {
      exchange.note("prompt", job.pictures().getFirst().prompt());
    }
  }

  private void draw(Exchange exchange, String body) {
    ImagesRequest.Read read = submit(exchange, body);
    Job job = read.job();
    exchange.onLeft(() -> scheduler.cancel(job));
    if (read.stream()) {
      stream(exchange, read);
      return;
    }
    job.follow(event -> {
      if (event instanceof JobEvent.Ended end) {
        workers.execute(() -> guarded(exchange, () -> answer(exchange, read, end)));
      }
    });
  }

  private static void answer(Exchange exchange, ImagesRequest.Read read, JobEvent.Ended end) {
    if (end.state() == Job.State.DONE) {
      exchange.json(200, Answers.of(read.job(), read.size()));
    } else {
      exchange.fail(wrong(exchange, end));
    }
  }

  /** Why there is no picture. Who left isn't told; so it was the server that cancelled. */
  private static ApiException wrong(Exchange exchange, JobEvent.Ended end) {
    end.problem().ifPresent(problem -> exchange.note("problem", problem.toString()));
    return end.problem()
        .map(ApiException::of)
        .orElseGet(
            () -> ApiException.of(503, "cancelled", "the server is stopping; try again later"));
  }

  private void stream(Exchange exchange, ImagesRequest.Read read) {
    EventStream events = new EventStream(exchange, vertx);
    read.job()
        .follow(event -> {
          switch (event) {
            case JobEvent.ScaleDrawn _ -> {}
            case JobEvent.Partial partial ->
                events.sendIfRoom(
                    "image_generation.partial_image",
                    Answers.partial(read.job(), read.size(), partial));
            case JobEvent.Drawn drawn ->
                events.send(
                    "image_generation.completed",
                    Answers.completed(read.job(), read.size(), drawn));
            case JobEvent.Ended end -> {
              if (end.state() == Job.State.DONE) {
                events.end();
              } else {
                events.fail(wrong(exchange, end));
              }
            }
          }
        });
  }

  @Override
  public void close() {
    workers.close();
  }
}
