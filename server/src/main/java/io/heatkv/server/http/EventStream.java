package io.heatkv.server.http;

import io.heatkv.json.JsonValue;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerResponse;
import java.util.Map;

/**
 * Server-sent events as the answer of a request. It begins with the first event or heartbeat: what
 * fails before is answered with a status.
 */
final class EventStream {
  private static final long HEARTBEAT_MILLIS = 10_000;
  private static final int QUEUED_BYTES = 8 << 20;

  private final Exchange exchange;
  private final Vertx vertx;
  private final HttpServerResponse response;
  // On the event loop only.
  private long timer = -1;
  private boolean begun;

  EventStream(Exchange exchange, Vertx vertx) {
    this.exchange = exchange;
    this.vertx = vertx;
    response = exchange.response();
    exchange.run(() -> timer = vertx.setPeriodic(HEARTBEAT_MILLIS, _ -> write(": heartbeat\n\n")));
  }

  void send(String event, Map<String, ?> data) {
    String text = text(event, data);
    exchange.run(() -> write(text));
  }

  /** Left out where the client doesn't keep up: what it shows is soon outdated. */
  void sendIfRoom(String event, Map<String, ?> data) {
    String text = text(event, data);
    exchange.run(() -> {
      if (!response.writeQueueFull()) {
        write(text);
      }
    });
  }

  private static String text(String event, Map<String, ?> data) {
    return "event: " + event + "\ndata: " + JsonValue.line(data) + "\n\n";
  }

  private void write(String text) {
    if (response.closed() || response.ended()) {
      stop();
      return;
    }
    begin();
    var _ = response.write(text);
  }

  private void begin() {
    if (!begun) {
      begun = true;
      response
          .setChunked(true)
          .setWriteQueueMaxSize(QUEUED_BYTES)
          .putHeader("Content-Type", "text/event-stream")
          .putHeader("X-Accel-Buffering", "no");
    }
  }

  /** Ends with what went wrong. */
  void fail(ApiException problem) {
    exchange.run(() -> {
      if (begun) {
        write(text("error", problem.toJson()));
        finish();
      } else {
        stop();
        exchange.fail(problem);
      }
    });
  }

  void end() {
    exchange.run(this::finish);
  }

  private void finish() {
    stop();
    if (!response.closed() && !response.ended()) {
      begin();
      var _ = response.end();
    }
  }

  private void stop() {
    vertx.cancelTimer(timer);
  }
}
