package io.heatkv.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Limits;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is refused: wrong, foreign and broken requests, and more than is allowed. */
final class RefusedRequestsTest {
  // More with -Dheatkv.mutants=5000.
  private static final int MUTANTS = Integer.getInteger("heatkv.mutants", 250);
  private static final List<String> STRANGE =
      List.of(
          "null",
          "true",
          "-1",
          "0",
          "3",
          "1e400",
          "-0.0",
          "9223372036854775808",
          "1e-300",
          "\"\"",
          "\"\\ud800\"",
          "\"\\u0000\"",
          "\"1e9%\"",
          "\"NaN\"",
          "\"28x20\"",
          "\"999999x999999\"",
          "\"16EiB\"",
          "\"full\"",
          "\"heatkv\"",
          "\"toy\"",
          "[]",
          "{}",
          "[[1]]",
          "{\"prompt\":\"circle\"}",
          "[".repeat(100),
          "\"" + "ä".repeat(300) + "\"");

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

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{}|400|prompt|the prompt is missing",
        "{\"prompt\": \" \"}|400|prompt|the prompt is missing or blank",
        "{\"prompt\": 5}|400||prompt is 5; expected text",
        "[]|400||is not a JSON object",
        "{\"prompt\"|400||can't be read as JSON",
        "|400||is not a JSON object",
        "{\"prompt\": \"circle\", \"prompt\": \"cross\"}|400||Duplicate field",
        "{\"prompt\": \"triangle\"}|400||class 'triangle' is unknown",
        "{\"prompt\": \"circle\", \"n\": 0}|400|n|n is out of range; expected a whole number from 1 to 4",
        "{\"prompt\": \"circle\", \"n\": 1e9}|400|n|n is out of range",
        "{\"prompt\": \"circle\", \"n\": 1.5}|400|n|n is out of range",
        "{\"prompt\": \"circle\", \"size\": \"1024x1024\"}|400|size|expected one of 28x20",
        "{\"prompt\": \"circle\", \"size\": \"big\"}|400|size|size 'big' can't be read",
        "{\"prompt\": \"circle\", \"seed\": -1}|400|seed|seed is none",
        "{\"prompt\": \"circle\", \"seed\": 1.5}|400|seed|seed is none",
        "{\"prompt\": \"circle\", \"seed\": 1e300}|400|seed|seed is none",
        "{\"prompt\": \"circle\", \"guidance_scale\": -1}|400||cfg -1.0 is out of range",
        "{\"prompt\": \"circle\", \"policy\": \"h2o\"}|400|kv_budget|policy h2o needs a kv_budget",
        "{\"prompt\": \"circle\", \"policy\": \"h20\", \"kv_budget\": 0.5}|400|policy|did you mean h2o",
        "{\"prompt\": \"circle\", \"kv_budget\": \"much\"}|400|policy|much",
        "{\"prompt\": \"circle\", \"kv_budget\": 7}|400|policy|more than the full cache",
        "{\"prompt\": \"circle\", \"kv_budget\": []}|400|kv_budget|expected a ratio",
        "{\"prompt\": \"circle\", \"output_format\": \"webp\"}|400|output_format|expected png or jpeg",
        "{\"prompt\": \"circle\", \"response_format\": \"url\"}|400|response_format|b64_json only",
        "{\"prompt\": \"circle\", \"model\": \"dall-e-3\"}|404||this server has the model 'toy' only",
        "{\"prompt\": \"circle\", \"kv_budgt\": 0.1}|400|kv_budgt|an unknown parameter",
        "{\"prompt\": \"circle\", \"class\": 1}|400|class|both prompt and class"
      })
  void wrongRequestsSayWhatIsWrong(String body, int status, String param, String message)
      throws Exception {
    HttpResponse<String> answer = running.draw(body == null ? "" : body);
    assertThat(answer.statusCode()).isEqualTo(status);
    JsonObject error = Running.json(answer).object("error");
    assertThat(error.text("message")).contains(message).doesNotContain("\n");
    assertThat(error.text("type")).isEqualTo("invalid_request_error");
    assertThat(error.optionalText("param").orElse(null)).isEqualTo(param);
  }

  @Test
  void longPromptsAndLargeBodiesAreRefused() throws Exception {
    assertThat(running.draw("{\"prompt\": \"" + "a".repeat(201) + "\"}").statusCode())
        .isEqualTo(400);
    assertThat(running.draw("{\"prompt\": \"" + "a".repeat(300_000) + "\"}").statusCode())
        .isEqualTo(413);
  }

  static Stream<HttpRequest.Builder> strangers() {
    return Stream.of(
        running.request("/v1/models").header("Origin", "http://evil.example"),
        running.request("/v1/models").header("Origin", "null"),
        running.request("/v1/models").header("Sec-Fetch-Site", "cross-site"),
        running.request("/v1/models").header("Origin", "http://127.0.0.1:1"));
  }

  @ParameterizedTest
  @MethodSource("strangers")
  void otherSitesArePutOff(HttpRequest.Builder request) throws Exception {
    HttpResponse<String> answer = running.send(request.build());
    assertThat(answer.statusCode()).isEqualTo(403);
    assertThat(answer.headers().firstValue("Access-Control-Allow-Origin")).isEmpty();
  }

  /** What a browser's form or a script without leave can send. */
  @ParameterizedTest
  @ValueSource(strings = {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
  void onlyJsonIsTaken(String type) throws Exception {
    HttpRequest request =
        running
            .request("/v1/images/generations")
            .header("Content-Type", type)
            .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\": \"circle\"}"))
            .build();
    assertThat(running.send(request).statusCode()).isEqualTo(415);
  }

  private static String raw(String request) throws IOException {
    try (Socket socket = new Socket("127.0.0.1", running.server.port())) {
      socket.setSoTimeout(10_000);
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      return new String(socket.getInputStream().readNBytes(12), StandardCharsets.ISO_8859_1);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "evil.example,421",
    "localhost.evil.example,421",
    "localhost:9,200",
    "127.0.0.1,200",
    "[::1]:80,200"
  })
  void onlyTheServersOwnNamesAreTaken(String host, int status) throws Exception {
    assertThat(raw("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n"))
        .isEqualTo("HTTP/1.1 " + status);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n",
        "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "NONSENSE\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
      })
  void brokenHeadsAreRefused(String request) throws Exception {
    assertThat(raw(request.formatted("a".repeat(20_000)))).matches("HTTP/1\\.[01] 4\\d\\d");
  }

  @ParameterizedTest
  @CsvSource({
    "GET,/v1/images/edits,404",
    "GET,/v1/images/generations,405",
    "DELETE,/v1/models,405",
    "OPTIONS,/v1/models,405",
    "GET,/../../etc/passwd,404",
    "GET,/page/app.js,404",
    "GET,/v1/jobs/job_nothing,404",
    "GET,/v1/jobs/,404",
    "GET,/v1/models/toy,200",
    "HEAD,/,200"
  })
  void pathsAndMethods(String method, String path, int status) throws Exception {
    assertThat(raw(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .isEqualTo("HTTP/1.1 " + status);
  }

  /** What may be drawn is drawn or refused; what may not is refused, whatever becomes of it. */
  @ParameterizedTest
  @ValueSource(strings = {"circle", "triangle"})
  void mutatedBodiesAreNeverTheServersFault(String prompt) throws Exception {
    String body =
        """
        {"prompt":"%s","n":1,"seed":7,"size":"auto","kv_budget":0.5,"policy":"h2o","stream":false,\
        "partial_images":1,"guidance_scale":2.5,"output_format":"jpeg","output_compression":50,"user":"me"}\
        """
            .formatted(prompt);
    Random random = new Random(11);
    for (int i = 0; i < MUTANTS; i++) {
      byte[] bytes = mutant(random, body);
      HttpRequest request =
          running
              .request("/v1/images/generations")
              .header("Content-Type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofByteArray(bytes))
              .build();
      HttpResponse<String> answer = running.send(request);
      String sent = new String(bytes, StandardCharsets.ISO_8859_1);
      if (answer.statusCode() == 200) {
        assertThat(sent).contains("circle");
      } else {
        assertThat(answer.statusCode()).as(sent).isBetween(400, 499);
        assertThat(Running.json(answer).object("error").text("message"))
            .as(sent)
            .isNotEmpty()
            .doesNotContain("\n")
            .doesNotContain("Exception");
      }
    }
  }

  private static byte[] mutant(Random random, String body) {
    int from = random.nextInt(body.length());
    int to = from + random.nextInt(body.length() - from);
    return switch (random.nextInt(5)) {
      case 0 -> body.substring(0, from).getBytes(StandardCharsets.UTF_8);
      case 1 -> (body.substring(0, to) + body.substring(from)).getBytes(StandardCharsets.UTF_8);
      case 2 -> {
        // One of its values.
        String[] fields = body.split("(?<=:)|(?=,\")|(?=})");
        int value;
        do {
          value = random.nextInt(fields.length);
        } while (value == 0 || !fields[value - 1].endsWith(":"));
        fields[value] = STRANGE.get(random.nextInt(STRANGE.size()));
        yield String.join("", fields).getBytes(StandardCharsets.UTF_8);
      }
      case 3 -> {
        String name = random.nextBoolean() ? "class" : "model";
        String value = STRANGE.get(random.nextInt(STRANGE.size()));
        yield body.replaceFirst("}", ",\"" + name + "\":" + Matcher.quoteReplacement(value) + "}")
            .getBytes(StandardCharsets.UTF_8);
      }
      default -> {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        for (int change = 0; change <= random.nextInt(3); change++) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        }
        yield bytes;
      }
    };
  }

  @Test
  void keysTellOwnersApart(@TempDir Path other) throws Exception {
    ServerOptions options = with(List.of("first-key-of-many", "second-key-of-many"), 0);
    try (Running locked = new Running(other, Running.LIMITS, options)) {
      assertThat(locked.get("/v1/models").statusCode()).isEqualTo(401);
      assertThat(locked.get("/metrics").statusCode()).isEqualTo(401);
      assertThat(locked.get("/healthz").statusCode()).isEqualTo(200);
      HttpRequest wrong =
          locked.request("/v1/models").header("Authorization", "Bearer first-key-of-man").build();
      assertThat(locked.send(wrong).statusCode()).isEqualTo(401);
      HttpRequest make =
          locked
              .request("/v1/jobs")
              .header("Authorization", "Bearer first-key-of-many")
              .header("Content-Type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\":\"circle\"}"))
              .build();
      String path = locked.send(make).headers().firstValue("Location").orElseThrow();
      HttpRequest.Builder look = locked.request(path);
      assertThat(
              locked
                  .send(look.copy().header("Authorization", "Bearer second-key-of-many").build())
                  .statusCode())
          .isEqualTo(404);
      assertThat(
              locked
                  .send(look.copy().header("Authorization", "Bearer first-key-of-many").build())
                  .statusCode())
          .isEqualTo(200);
    }
  }

  private static ServerOptions with(List<String> keys, int rate) {
    ServerOptions usual = Running.OPTIONS;
    return new ServerOptions(
        usual.host(),
        0,
        OptionalInt.of(0),
        Set.of("pictures.example"),
        keys,
        rate,
        usual.maxImages(),
        usual.maxPrompt(),
        usual.connections(),
        usual.policy(),
        usual.budget(),
        usual.kept(),
        usual.drain(),
        usual.logPrompts());
  }

  @Test
  void aClientMaySendOnlySoMuch(@TempDir Path other) throws Exception {
    try (Running limited = new Running(other, Running.LIMITS, with(List.of(), 3))) {
      for (int i = 0; i < 3; i++) {
        assertThat(limited.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(200);
      }
      HttpResponse<String> answer = limited.draw("{\"prompt\":\"circle\"}");
      assertThat(answer.statusCode()).isEqualTo(429);
      assertThat(answer.headers().firstValueAsLong("Retry-After").orElseThrow()).isBetween(1L, 60L);
      HttpRequest metrics =
          HttpRequest.newBuilder(
                  URI.create("http://127.0.0.1:" + limited.server.metricsPort() + "/metrics"))
              .build();
      assertThat(limited.send(metrics).body()).contains("rejected");
    }
  }

  @Test
  void whatCanNeverFitIsRefusedWithWhatWould(@TempDir Path other) throws Exception {
    // The full cache of one picture under guidance, and a byte too little.
    long full = 2L * 2 * 16 * 4 * 2 * 2 * (1 + 6 + 12 + 20);
    Limits tight = new Limits(full - 1, 1 << 30, 16, 1, Duration.ZERO);
    ServerOptions usual = Running.OPTIONS;
    ServerOptions options =
        new ServerOptions(
            usual.host(),
            0,
            OptionalInt.empty(),
            Set.of(),
            List.of(),
            0,
            4,
            200,
            500,
            "streaming-llm",
            Optional.of("0.5"),
            usual.kept(),
            usual.drain(),
            false);
    try (Running small = new Running(other, tight, options)) {
      HttpResponse<String> answer =
          small.draw("{\"prompt\":\"circle\",\"policy\":\"streaming-llm\",\"kv_budget\":1}");
      assertThat(answer.statusCode()).isEqualTo(400);
      JsonObject error = Running.json(answer).object("error");
      assertThat(error.text("code")).isEqualTo("exceeds_capacity");
      assertThat(error.text("message")).contains("kv_budget 0.9", "n up to 4");
      assertThat(small.draw("{\"prompt\":\"circle\"}").statusCode()).isEqualTo(200);
    }
  }
}
