package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cli.console.Console;
import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Model.OptionSpec;

/** The command that serves, as a process of its own. */
class ServeCommandTest {
  @TempDir Path folder;

  private Process start(List<String> options, String... environment) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.heatkv.cli.Main",
                "serve"));
    command.addAll(options);
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(folder.resolve("err").toFile());
    for (int i = 0; i < environment.length; i += 2) {
      builder.environment().put(environment[i], environment[i + 1]);
    }
    // Waiting for a second thread costs more on a busy machine.
    builder.environment().put("OMP_NUM_THREADS", "1");
    return builder.start();
  }

  @Test
  void itServesTheEmbeddedModelAndStopsWhenTold() throws Exception {
    Path config = folder.resolve("serve.properties");
    // Requests may have budgets; the usual policy has no levels, those of requests may have.
    Files.writeString(config, "allocation=greedy\nlevels=8\nmax-n=2\n");
    Process process =
        start(
            List.of("--port", "0", "--device", "cpux2", "--config", config.toString()),
            "HEATKV_SERVE_MAX_N",
            "1",
            "HEATKV_SERVE_DRAIN",
            "1");
    try (HttpClient client = HttpClient.newHttpClient();
        BufferedReader out = process.inputReader()) {
      String line = out.readLine();
      assertThat(line).startsWith("heatkv serves emoji-infinity at http://127.0.0.1:");
      String url = line.substring(line.indexOf("http://"));
      String models =
          client
              .send(
                  HttpRequest.newBuilder(URI.create(url + "/v1/models")).build(),
                  BodyHandlers.ofString())
              .body();
      assertThat(models)
          .contains("\"policy\":\"heatkv-greedy\"", "\"kv_budget\":null", "\"max_n\":1");
      HttpResponse<String> two =
          draw(
              client, URI.create(url + "/v1/images/generations"), "{\"prompt\":\"a cat\",\"n\":2}");
      assertThat(two.statusCode()).isEqualTo(400);
      String metrics =
          client
              .send(
                  HttpRequest.newBuilder(URI.create(url + "/metrics")).build(),
                  BodyHandlers.ofString())
              .body();
      assertThat(metrics).contains("heatkv_devices 2.0", "device=\"cpu,cpu\"");
      process.destroy();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isEqualTo(143);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Of a family that draws classes: a prompt names one. */
  @Test
  void itServesAModelOfAnotherFamily() throws Exception {
    Path model = folder.resolve("toy");
    assertThat(Run.of("synth", "--like", "toy-3", "-o", model.toString()).status()).isZero();
    Process process = start(List.of("--port", "0", "--model", model.toString()));
    try (HttpClient client = HttpClient.newHttpClient();
        BufferedReader out = process.inputReader()) {
      String line = out.readLine();
      assertThat(line).startsWith("heatkv serves toy at http://127.0.0.1:");
      URI url = URI.create(line.substring(line.indexOf("http://")) + "/v1/images/generations");
      HttpResponse<String> drawn = draw(client, url, "{\"prompt\":\"cross\",\"n\":2}");
      assertThat(drawn.statusCode()).isEqualTo(200);
      for (int i = 0; i < 2; i++) {
        String picture = new Run(0, drawn.body(), "").item("data", i).text("b64_json");
        // Five rows of seven tokens, each of 4 x 4 pixels.
        assertThat(ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode(picture))))
            .returns(28, BufferedImage::getWidth)
            .returns(20, BufferedImage::getHeight);
      }
      HttpResponse<String> unknown = draw(client, url, "{\"prompt\":\"dog\"}");
      assertThat(unknown.statusCode()).isEqualTo(400);
      assertThat(unknown.body()).contains("class 'dog' is unknown; expected circle, square, cross");
    } finally {
      process.destroyForcibly();
    }
  }

  private static HttpResponse<String> draw(HttpClient client, URI url, String request)
      throws Exception {
    return client.send(
        HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(request))
            .build(),
        BodyHandlers.ofString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--port|70000|port 70000 is out of range; expected 0 to 65535",
        "--drain|-1|drain -1 is out of range; expected 0 to 3600",
        "--keep-memory|10%|keep-memory 10% is no size; expected such as 4GiB",
        "--api-keys|nowhere|nowhere: can't be read; expected a key on each line",
        "--config|nowhere|nowhere: can't be read; expected lines such as port=8080 in UTF-8",
        "--profile|nowhere|nowhere: no such file; expected a JSON file",
        "--levels|5|level '5' is unknown; expected a list of 16, 8, k8v4, 4 and pooled, such as 8,4"
      })
  void wrongOptionsAreNamed(String option, String value, String message) {
    Run run = Run.of("serve", option, value);
    assertThat(run.err()).isEqualTo("heatkv: " + message + "\n");
    assertThat(run.status()).isEqualTo(2);
  }

  @Test
  void wrongFilesAreNamed() throws Exception {
    Path config = Files.writeString(folder.resolve("a"), "prot=1\n");
    assertThat(Run.of("serve", "--config", config.toString()).err())
        .startsWith("heatkv: " + config + ": 'prot' is unknown; known: allocation, allow-host,");
    Path keys = Files.writeString(folder.resolve("b"), "# mine\nshort\n");
    assertThat(Run.of("serve", "--api-keys", keys.toString()).err())
        .startsWith("heatkv: " + keys + ": has no key or one of less than 16 characters");
  }

  @Test
  void thePageHasEveryOption() throws Exception {
    String page = Files.readString(Path.of("../docs/server.md"));
    Console console =
        new Console(
            new PrintWriter(new StringWriter()), new PrintWriter(new StringWriter()), false);
    assertThat(
            HeatKv.commandLine(console, List.of("serve"))
                .getSubcommands()
                .get("serve")
                .getCommandSpec()
                .options())
        .extracting(OptionSpec::longestName)
        .filteredOn(name -> !Set.of("--help", "--version", "--debug").contains(name))
        .allSatisfy(name -> assertThat(page).contains("`" + name));
  }
}
