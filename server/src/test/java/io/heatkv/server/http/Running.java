package io.heatkv.server.http;

import io.heatkv.json.JsonObject;
import io.heatkv.server.HeatKvServer;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.ToyServedModel;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.SchedulerStatus;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server of the smallest model, and a client. */
public final class Running implements AutoCloseable {
  public static final Limits LIMITS = new Limits(1L << 30, 1L << 30, 16, 4, Duration.ofMillis(2));
  public static final ServerOptions OPTIONS =
      new ServerOptions(
          "127.0.0.1",
          0,
          OptionalInt.empty(),
          Set.of(),
          List.of(),
          0,
          4,
          200,
          500,
          "heatkv",
          Optional.empty(),
          new ServerOptions.Kept(8, 1 << 20, Duration.ofMinutes(10)),
          Duration.ofSeconds(30),
          false);

  public final ToyServedModel model;
  public final HeatKvServer server;
  public final List<String> log = new CopyOnWriteArrayList<>();
  public final HttpClient client = HttpClient.newHttpClient();

  public Running(Path folder) {
    this(folder, LIMITS, OPTIONS);
  }

  public Running(Path folder, Limits limits, ServerOptions options) {
    model = new ToyServedModel(folder);
    server = HeatKvServer.start(model, limits, options, "test", log::add);
  }

  /** Once the device is ready. */
  public Running ready() {
    while (server.status().state() == SchedulerStatus.Health.MEASURING) {
      Thread.onSpinWait();
    }
    return this;
  }

  public String url(String path) {
    return "http://127.0.0.1:" + server.port() + path;
  }

  public HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url(path)));
  }

  public HttpRequest post(String path, String body) {
    return request(path)
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body))
        .build();
  }

  public HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    return client.send(request, BodyHandlers.ofString());
  }

  public HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return send(request(path).build());
  }

  public HttpResponse<String> draw(String body) throws IOException, InterruptedException {
    return send(post("/v1/images/generations", body));
  }

  public static JsonObject json(HttpResponse<String> answer) {
    return JsonObject.parse(Path.of("answer"), answer.body());
  }

  @Override
  public void close() {
    model.open();
    server.close();
    client.close();
    model.close();
  }
}
