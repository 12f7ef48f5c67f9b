package io.heatkv.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.server.http.Running;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** OpenAI's client for Node, and the page in a browser; both as scripts beside this class. */
final class NodeTest {
  private static final Path SCRIPTS = Path.of("src/test/node").toAbsolutePath();

  private static Optional<Path> found(String... programs) {
    return Stream.of(programs)
        .flatMap(program ->
            Stream.of(System.getenv("PATH").split(":")).map(folder -> Path.of(folder, program)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private static void run(String script, List<String> arguments)
      throws IOException, InterruptedException {
    Path output = Files.createTempFile("heatkv-node", ".log");
    List<String> command = new ArrayList<>(List.of("node", script));
    command.addAll(arguments);
    Process process =
        new ProcessBuilder(command)
            .directory(SCRIPTS.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      boolean ended = process.waitFor(240, TimeUnit.SECONDS);
      String text = Files.readString(output, StandardCharsets.UTF_8);
      assertThat(ended).as(text).isTrue();
      assertThat(text).endsWith("OK\n");
      assertThat(process.exitValue()).isZero();
    } finally {
      process.destroyForcibly();
      Files.delete(output);
    }
  }

  private static void assumeNode() {
    assumeTrue(found("node").isPresent(), "there is no Node.js");
    assumeTrue(
        Files.isDirectory(SCRIPTS.resolve("node_modules")),
        "there are no modules of Node.js; run npm ci in clients/src/test/node");
  }

  @Test
  void openAisClientDrawsStreamsRetriesAndLeaves(@TempDir Path folder) throws Exception {
    assumeNode();
    try (Running running = new Running(folder).ready();
        Door door = new Door(running)) {
      run("openai.mjs", List.of(running.url("/v1"), door.url()));
    }
  }

  @Test
  void thePageWorksInABrowser(@TempDir Path folder) throws Exception {
    assumeNode();
    Optional<Path> browser = found("chromium", "chromium-browser", "google-chrome");
    assumeTrue(browser.isPresent(), "there is no Chromium");
    try (Running running = new Running(folder).ready();
        Door door = new Door(running)) {
      Path shots = Files.createDirectories(Path.of("target/screenshots")).toAbsolutePath();
      run(
          "page.mjs",
          List.of(running.url(""), door.url(), browser.get().toString(), shots.toString()));
    }
  }
}
