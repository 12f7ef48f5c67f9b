package io.heatkv.server.http;

import io.heatkv.json.JsonValue;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerResponse;
import java.util.Map;

/** Server-sent events as the answer of a request. */
final class EventStream {
  private static final long HEARTBEAT_MILLIS = 10_000;
  private static final int QUEUED_BYTES = 8 << 20;

  private final Exchange exchange;
  private final Vertx vertx;
  private final HttpServerResponse response;
  private volatile long timer = -1;

  /** Begins the answer. */
  EventStream(Exchange exchange, Vertx vertx) {
    this.exchange = exchange;
    this.vertx = vertx;
    response = exchange.response();
    exchange.run(() -> {
      if (!response.closed()) {
        response
            .setChunked(true)
            .setWriteQueueMaxSize(QUEUED_BYTES)
            .putHeader("Content-Type", "text/event-stream")
            .putHeader("X-Accel-Buffering", "no");
        var _ = response.writeHead();
        timer = vertx.setPeriodic(HEARTBEAT_MILLIS, _ -> write(": heartbeat\n\n"));
      }
    });
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
    if (!response.closed() && !response.ended()) {
      var _ = response.write(text);
    } else {
      stop();
    }
  }

  void end() {
    exchange.run(() -> {
      stop();
      if (!response.closed() && !response.ended()) {
        var _ = response.end();
      }
    });
  }

  private void stop() {
    vertx.cancelTimer(timer);
  }
}
