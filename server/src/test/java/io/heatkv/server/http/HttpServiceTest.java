package io.heatkv.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.PngImage;
import io.heatkv.json.JsonObject;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.Level;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The service over real sockets, on the smallest model. */
final class HttpServiceTest {
  @TempDir private static Path folder;
  private static Running running;

  @BeforeAll
  static void start() {
    running = new Running(folder).ready();
  }

  @AfterAll
  static void stop() {
    running.close();
  }

  private static Map<?, ?> picture(JsonObject answer, int index) {
    return (Map<?, ?>) answer.list("data").get(index);
  }

  private static BufferedImage decoded(Object base64) throws IOException {
    return ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode((String) base64)));
  }

  private static int[] pixels(BufferedImage image) {
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  private static int[] alone(String prompt, long seed) {
    GenerationRequest request =
        new GenerationRequest(
            List.of(new PictureRequest(prompt, seed, running.model.sampling())),
            running.model.grids(),
            CachePolicy.FULL);
    try (Generation generation = Generation.open(running.model.plain(), request)) {
      PngImage image = generation.finish().images().getFirst().pixels();
      return pixels(image.toBufferedImage());
    }
  }

  @Test
  void aPictureIsDrawnAsTheEngineDrawsIt() throws Exception {
    HttpResponse<String> answer =
        running.draw(
            """
            {"model": "toy", "prompt": "circle", "n": 2, "seed": 7, "size": "auto", "quality": "high",
             "user": "me", "moderation": "low", "background": "auto", "response_format": "b64_json"}
            """);
    assertThat(answer.statusCode()).isEqualTo(200);
    JsonObject json = Running.json(answer);
    assertThat(json.text("size")).isEqualTo("28x20");
    assertThat(json.text("output_format")).isEqualTo("png");
    assertThat(json.list("data")).hasSize(2);
    assertThat(picture(json, 0).get("seed")).isEqualTo(7.0);
    BufferedImage image = decoded(picture(json, 0).get("b64_json"));
    assertThat(pixels(image)).isEqualTo(alone("circle", 7));
    long second = ((Number) picture(json, 1).get("seed")).longValue();
    assertThat(pixels(decoded(picture(json, 1).get("b64_json"))))
        .isEqualTo(alone("circle", second));
  }

  @Test
  void extensionsReachTheEngine() throws Exception {
    JsonObject json =
        Running.json(
            running.draw(
                """
                {"class": 2, "seed": "12345678901234567", "guidance_scale": 3, "kv_budget": "40%",
                 "policy": "h2o", "negative_prompt": "square", "output_format": "jpeg",
                 "output_compression": 60}
                """));
    assertThat(json.text("output_format")).isEqualTo("jpeg");
    Map<?, ?> facts = (Map<?, ?>) picture(json, 0).get("heatkv");
    assertThat(facts.get("policy")).isEqualTo("h2o");
    assertThat(facts.get("kv_budget")).isEqualTo(0.4);
    assertThat((Double) facts.get("kv_bytes"))
        .isLessThanOrEqualTo(0.4 * (Double) facts.get("full_kv_bytes"));
    assertThat(picture(json, 0).get("seed")).isEqualTo(12345678901234567L);
    byte[] bytes = Base64.getDecoder().decode((String) picture(json, 0).get("b64_json"));
    assertThat(bytes).startsWith(0xFF, 0xD8);
  }

  /** Without a budget of the server's own a request's takes the server's policy. */
  @Test
  void aRequestsBudgetAloneTakesTheServersPolicy() throws Exception {
    JsonObject model = Running.json(running.get("/v1/models/toy"));
    assertThat(model.text("policy")).isEqualTo("heatkv");
    assertThat(model.has("kv_budget")).isFalse();
    Map<?, ?> drawn = facts("{\"prompt\": \"circle\"}");
    assertThat(drawn.get("policy")).isEqualTo("full");
    drawn = facts("{\"prompt\": \"circle\", \"kv_budget\": \"40%\"}");
    assertThat(drawn.get("policy")).isEqualTo("heatkv");
    assertThat((Double) drawn.get("kv_budget")).isEqualTo(0.4);
  }

  private static Map<?, ?> facts(String body) throws Exception {
    return (Map<?, ?>) picture(Running.json(running.draw(body)), 0).get("heatkv");
  }

  @Test
  void aStreamHasPartialImagesAndThePicture() throws Exception {
    HttpResponse<String> answer =
        running.draw(
            "{\"prompt\": \"cross\", \"seed\": 3, \"stream\": true, \"partial_images\": 2}");
    assertThat(answer.headers().firstValue("Content-Type")).hasValue("text/event-stream");
    List<String> names = new ArrayList<>();
    List<JsonObject> events = new ArrayList<>();
    answer
        .body()
        .lines()
        .forEach(line -> {
          if (line.startsWith("event: ")) {
            names.add(line.substring(7));
          } else if (line.startsWith("data: ")) {
            events.add(JsonObject.parse(Path.of("event"), line.substring(6)));
          }
        });
    assertThat(names)
        .endsWith("image_generation.completed")
        .contains("image_generation.partial_image");
    for (int i = 0; i < events.size(); i++) {
      assertThat(events.get(i).text("type")).isEqualTo(names.get(i));
      for (String key : List.of("b64_json", "size", "quality", "background", "output_format")) {
        assertThat(events.get(i).text(key)).isNotEmpty();
      }
      assertThat(events.get(i).number("created_at")).isPositive();
    }
    assertThat(events.getFirst().number("partial_image_index")).isZero();
    assertThat(decoded(events.getFirst().text("b64_json")).getWidth()).isLessThan(28);
    assertThat(pixels(decoded(events.getLast().text("b64_json")))).isEqualTo(alone("cross", 3));
  }

  @Test
  void theOwnPageIsServed() throws Exception {
    HttpResponse<String> page = running.get("/");
    assertThat(page.statusCode()).isEqualTo(200);
    assertThat(page.headers().firstValue("Content-Security-Policy").orElseThrow())
        .contains("default-src 'none'", "frame-ancestors 'none'")
        .doesNotContain("unsafe");
    HttpRequest own = running.request("/v1/models").header("Origin", running.url("")).build();
    assertThat(running.send(own).statusCode()).isEqualTo(200);
  }

  @Test
  void aClientThatLeavesCancelsItsPicture() throws Exception {
    running.model.shut();
    try {
      CompletableFuture<HttpResponse<String>> waiting =
          running.client.sendAsync(
              running.post("/v1/images/generations", "{\"prompt\": \"circle\", \"n\": 3}"),
              BodyHandlers.ofString());
      until(() -> running.server.status().running() + running.server.status().waiting() == 3);
      waiting.cancel(true);
      until(() -> running.server.status().waiting() == 0);
    } finally {
      running.model.open();
    }
    until(() -> running.server.status().running() == 0);
    assertThat(running.get("/metrics").body()).contains("heatkv_cancelled_total{phase=");
    assertThat(running.draw("{\"prompt\": \"circle\"}").statusCode()).isEqualTo(200);
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void until(Condition condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.holds()) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.onSpinWait();
    }
  }

  @Test
  void aJobIsFollowedAndItsResultKept() throws Exception {
    HttpResponse<String> made =
        running.send(
            running.post(
                "/v1/jobs", "{\"prompt\": \"square\", \"seed\": 5, \"partial_images\": 1}"));
    assertThat(made.statusCode()).isEqualTo(202);
    String path = made.headers().firstValue("Location").orElseThrow();
    assertThat(path).isEqualTo("/v1/jobs/" + Running.json(made).text("id")).hasSizeGreaterThan(30);
    String events = running.get(path + "/events").body();
    assertThat(events).contains("event: scale", "event: partial", "event: picture", "event: end");
    assertThat(names(running.get(path + "/events").body())).isEqualTo(names(events));
    JsonObject done = Running.json(running.get(path));
    assertThat(done.text("state")).isEqualTo("done");
    Map<?, ?> picture = picture(done.object("result"), 0);
    assertThat(pixels(decoded(picture.get("b64_json")))).isEqualTo(alone("square", 5));
  }

  private static List<String> names(String events) {
    return events
        .lines()
        .filter(line -> line.startsWith("event: ") && !line.endsWith("waiting"))
        .toList();
  }

  @Test
  void aWaitingJobHasAPlaceAndIsCancelled() throws Exception {
    running.model.shut();
    try {
      List<String> paths = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        HttpResponse<String> made =
            running.send(
                running.post(
                    "/v1/jobs",
                    "{\"prompt\": \"square\", \"kv_budget\": 0.5, \"policy\": \"h2o\"}"));
        paths.add(made.headers().firstValue("Location").orElseThrow());
      }
      JsonObject last = Running.json(running.get(paths.getLast()));
      assertThat(last.text("state")).isIn("waiting", "running");
      assertThat(last.number("estimate_seconds")).isPositive();
      HttpResponse<String> gone = running.send(running.request(paths.getLast()).DELETE().build());
      assertThat(Running.json(gone).text("state")).isEqualTo("cancelled");
      running.model.open();
      until(() -> Running.json(running.get(paths.getFirst())).text("state").equals("done"));
    } finally {
      running.model.open();
    }
  }

  @Test
  void resultsAreKeptInBounds() throws Exception {
    List<String> paths = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      String path =
          running
              .send(running.post("/v1/jobs", "{\"prompt\": \"square\"}"))
              .headers()
              .firstValue("Location")
              .orElseThrow();
      until(() -> Running.json(running.get(path)).text("state").equals("done"));
      paths.add(path);
    }
    assertThat(running.get(paths.getFirst()).statusCode()).isEqualTo(404);
    assertThat(running.get(paths.getLast()).statusCode()).isEqualTo(200);
  }

  @Test
  void aFullQueueAnswers429AndWhenToComeAgain() throws Exception {
    running.model.shut();
    try {
      List<String> paths = new ArrayList<>();
      HttpResponse<String> answer = null;
      for (int i = 0; i < 8; i++) {
        answer = running.send(running.post("/v1/jobs", "{\"prompt\": \"square\", \"n\": 4}"));
        answer.headers().firstValue("Location").ifPresent(paths::add);
      }
      assertThat(answer.statusCode()).isEqualTo(429);
      assertThat(answer.headers().firstValueAsLong("Retry-After").orElseThrow()).isPositive();
      assertThat(Running.json(answer).object("error").text("code")).isEqualTo("queue_full");
      assertThat(running.get("/metrics").body())
          .contains("heatkv_requests_rejected_total{reason=\"queue_full\"}");
      for (String path : paths) {
        var _ = running.send(running.request(path).DELETE().build());
      }
    } finally {
      running.model.open();
    }
    until(() -> running.server.status().running() == 0);
  }

  /** The schedule's own numbers, atom by atom. */
  @Test
  void theProfileHasScoresAndLevels() throws Exception {
    JsonObject answer = Running.json(running.get("/v1/profile?kv_budget=40%25"));
    assertThat(answer.list("scales")).hasSize(5).first().isEqualTo("1x1");
    CachePolicy policy = running.model.policy("heatkv", "40%", running.model.grids());
    Map<Atom, Level> last = policy.schedule().orElseThrow().seen(4);
    List<?> levels = answer.list("levels");
    Set<String> names = new TreeSet<>();
    for (int source = 0; source < 4; source++) {
      for (int layer = 0; layer < 2; layer++) {
        for (int head = 0; head < 2; head++) {
          int level = at(answer.list("level"), source, layer, head).intValue();
          Level expected = last.get(new Atom(source, head, layer));
          String name = level < 0 ? null : (String) ((Map<?, ?>) levels.get(level)).get("name");
          assertThat(name).isEqualTo(expected == null ? null : expected.toString());
          assertThat(at(answer.list("gone_at"), source, layer, head).intValue() >= 0)
              .isEqualTo(expected == null);
          if (name != null) {
            names.add(name);
          }
        }
      }
    }
    assertThat(names).hasSize(levels.size());
    // The first scale is a sink, which nobody scores.
    assertThat(answer.list("scores").getFirst()).hasToString("null");
    assertThat(at(answer.list("scores"), 1, 0, 0).doubleValue()).isPositive();
    assertThat(running.get("/v1/profile?kv_budget=0.0001").statusCode()).isEqualTo(400);
  }

  private static Number at(List<?> list, int source, int layer, int head) {
    return (Number) ((List<?>) ((List<?>) list.get(source)).get(layer)).get(head);
  }

  @Test
  void observation() throws Exception {
    assertThat(running.get("/healthz").body()).isEqualTo("{\"status\":\"ok\"}");
    assertThat(running.get("/readyz").statusCode()).isEqualTo(200);
    assertThat(running.draw("{\"prompt\": \"circle\"}").statusCode()).isEqualTo(200);
    assertThat(running.get("/metrics").body())
        .contains(
            "heatkv_pictures_running",
            "heatkv_pictures_waiting",
            "heatkv_requests_seconds_bucket{route=\"/v1/images/generations\",status=\"200\"",
            "heatkv_stage_seconds_bucket{stage=\"transformer\"",
            "heatkv_stage_seconds_bucket{stage=\"queue\"",
            "heatkv_batch_size_bucket",
            "heatkv_kv_reserved_bytes",
            "heatkv_kv_measured_bytes",
            "heatkv_kv_budget_bytes",
            "heatkv_native_tensors",
            "heatkv_device_heartbeat_age_seconds",
            "heatkv_build_info{");
  }

  @Test
  void aTraceGoesOnAndTheLogHasNoPrompt() throws Exception {
    String trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    HttpRequest request =
        running
            .request("/v1/images/generations")
            .header("Content-Type", "application/json")
            .header("traceparent", "00-" + trace + "-00f067aa0ba902b7-01")
            .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\": \"cross\"}"))
            .build();
    String given = running.send(request).headers().firstValue("traceparent").orElseThrow();
    assertThat(given)
        .startsWith("00-" + trace + "-")
        .endsWith("-01")
        .doesNotContain("00f067aa0ba902b7");
    until(() -> running.log.stream().anyMatch(line -> line.contains(trace)));
    String line =
        running.log.stream().filter(each -> each.contains(trace)).findFirst().orElseThrow();
    assertThat(JsonObject.parse(Path.of("log"), line).number("status")).isEqualTo(200);
    assertThat(running.log).noneMatch(each -> each.contains("\"cross\""));
  }

  @Test
  void aDeviceErrorIs500AndMayBeRetried() throws Exception {
    running.model.failures.set(1);
    HttpResponse<String> answer = running.draw("{\"prompt\":\"circle\"}");
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.headers().firstValue("x-should-retry")).hasValue("true");
    assertThat(answer.body()).doesNotContain("fire");
    // Nor has a stream begun by then.
    running.model.failures.set(1);
    answer = running.draw("{\"prompt\":\"circle\",\"stream\":true,\"partial_images\":2}");
    assertThat(answer.statusCode()).isEqualTo(500);
    assertThat(answer.headers().firstValue("x-should-retry")).hasValue("true");
    assertThat(running.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(200);
  }

  /** While it is unknown whether the device still computes, nobody is sent here. */
  @Test
  void readinessDropsWhenTheDeviceFails() throws Exception {
    running.model.shut();
    try {
      running.model.failures.set(1);
      // For the pass that fails; the picture that tells whether it still draws has to wait.
      running.model.door.release(1);
      assertThat(running.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(500);
      HttpResponse<String> answer = running.get("/readyz");
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(Running.json(answer).text("status")).isEqualTo("suspect");
      assertThat(running.get("/healthz").statusCode()).isEqualTo(200);
    } finally {
      running.model.open();
    }
    until(() -> running.get("/readyz").statusCode() == 200);
    assertThat(running.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(200);
  }

  @Test
  void aDeviceThatIsLostEndsTheService(@TempDir Path other) throws Exception {
    try (Running lost = new Running(other).ready()) {
      lost.model.failures.set(1000);
      assertThat(lost.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(500);
      assertThat(lost.server.failure().join()).hasMessage("the device is on fire");
      assertThat(Running.json(lost.get("/readyz")).text("status")).isEqualTo("broken");
      HttpResponse<String> answer = lost.draw("{\"prompt\":\"circle\"}");
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(Running.json(answer).object("error").text("message"))
          .isEqualTo("the device failed; restart the server");
    }
  }
}
