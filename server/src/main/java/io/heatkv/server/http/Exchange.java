package io.heatkv.server.http;

import io.heatkv.json.JsonValue;
import io.vertx.core.Context;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A request and its answer. Any thread may answer; it happens on the connection's event loop. */
final class Exchange {
  private static final Map<String, String> HEADERS =
      Map.of(
          "X-Content-Type-Options",
          "nosniff",
          "Referrer-Policy",
          "no-referrer",
          "X-Frame-Options",
          "DENY",
          "Cross-Origin-Opener-Policy",
          "same-origin",
          "Cross-Origin-Resource-Policy",
          "same-origin",
          "Permissions-Policy",
          "camera=(), geolocation=(), microphone=()",
          "Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
              + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
          "Cache-Control",
          "no-store");

  private final HttpServerRequest request;
  private final HttpServerResponse response;
  private final Context context;
  private final long start = System.nanoTime();
  private final Trace trace;
  // On the event loop only.
  private final List<Runnable> left = new ArrayList<>();
  private volatile boolean hangUp;
  // What the log says besides.
  private final Map<String, Object> notes = new LinkedHashMap<>();

  /**
   * @param ended runs once the answer is written
   */
  Exchange(HttpServerRequest request, Context context, Consumer<Exchange> ended) {
    this.request = request;
    this.response = request.response();
    this.context = context;
    trace = Trace.of(request.getHeader("traceparent"));
    HEADERS.forEach(response::putHeader);
    response.putHeader("traceparent", trace.header());
    response.putHeader("x-request-id", trace.spanId());
    response.exceptionHandler(_ -> {});
    response.endHandler(_ -> {
      if (hangUp) {
        var _ = request.connection().close();
      }
      ended.accept(this);
    });
    response.closeHandler(_ -> {
      if (!response.ended()) {
        List.copyOf(left).forEach(Runnable::run);
      }
    });
  }

  HttpServerRequest request() {
    return request;
  }

  Context context() {
    return context;
  }

  Trace trace() {
    return trace;
  }

  double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  void note(String key, @Nullable Object value) {
    synchronized (notes) {
      notes.put(key, value);
    }
  }

  Map<String, Object> notes() {
    synchronized (notes) {
      return new LinkedHashMap<>(notes);
    }
  }

  /** Status and how it ended, for the log. */
  int status() {
    return response.getStatusCode();
  }

  void json(int status, Object value) {
    send(status, "application/json", Buffer.buffer(JsonValue.line(value)), Map.of());
  }

  void fail(ApiException e) {
    note("error", e.code());
    send(e.status(), "application/json", Buffer.buffer(JsonValue.line(e.toJson())), e.headers());
  }

  void send(int status, String type, Buffer body, Map<String, String> headers) {
    context.runOnContext(_ -> {
      if (!response.headWritten() && !response.closed()) {
        headers.forEach(response::putHeader);
        var _ = response.setStatusCode(status).putHeader("Content-Type", type).end(body);
      }
    });
  }

  /** Answers and hangs up: the rest of the request isn't read. */
  void failAndClose(ApiException e) {
    hangUp = true;
    response.putHeader("Connection", "close");
    fail(e);
  }

  /** Runs once the client has left before the end of the answer, at once if it has. */
  void onLeft(Runnable action) {
    context.runOnContext(_ -> {
      if (response.ended()) {
        return;
      }
      if (response.closed()) {
        action.run();
      } else {
        left.add(action);
      }
    });
  }

  /** Runs on the connection's event loop. */
  void run(Runnable action) {
    context.runOnContext(_ -> action.run());
  }

  HttpServerResponse response() {
    return response;
  }
}
