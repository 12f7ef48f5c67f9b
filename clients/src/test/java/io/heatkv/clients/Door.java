package io.heatkv.clients;

import com.sun.net.httpserver.HttpServer;
import io.heatkv.server.http.Running;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Map;

/** Lets another process hold the model's device, let it go, and let it fail once. */
final class Door implements AutoCloseable {
  private final HttpServer server;

  Door(Running running) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    Map<String, Runnable> actions =
        Map.of(
            "/shut", running.model::shut,
            "/open", running.model::open,
            "/fail", () -> running.model.failures.set(1));
    actions.forEach((path, action) ->
        server.createContext(
            path,
            exchange -> {
              action.run();
              exchange.sendResponseHeaders(204, -1);
              exchange.close();
            }));
    server.start();
  }

  String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
