package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.schedule.Budget;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Limits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say how a server is reached and what it allows. */
public final class ServerChoices {
  private static final int SHORTEST_KEY = 16;
  private static final int MAX_PORT = 65_535;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      description = "Address to listen at; 0.0.0.0 is all. Default: ${DEFAULT-VALUE}.")
  private String host = "127.0.0.1";

  @Option(
      names = "--port",
      paramLabel = "N",
      description = "Port to listen at; 0 takes a free one. Default: ${DEFAULT-VALUE}.")
  private int port = 8080;

  @Option(
      names = "--metrics-port",
      paramLabel = "N",
      description = "Also serve /metrics, /healthz and /readyz alone at this port, without keys.")
  private @Nullable Integer metricsPort;

  @Option(
      names = "--allow-host",
      split = ",",
      paramLabel = "NAME",
      description = "Names by which it may be called besides localhost and addresses.")
  private Set<String> allowedHosts = Set.of();

  @Option(
      names = "--api-keys",
      paramLabel = "FILE",
      description = "File with a key on each line, one of which every client has to send.")
  private @Nullable Path apiKeys;

  @Option(
      names = "--rate",
      paramLabel = "N",
      description =
          "Requests to draw that a key, or an address, may send a minute. Default: any number.")
  private int rate;

  @Option(
      names = "--connections",
      paramLabel = "N",
      description = "Connections at a time. Default: ${DEFAULT-VALUE}.")
  private int connections = 1000;

  @Option(
      names = "--max-n",
      paramLabel = "N",
      description = "Pictures of a request. Default: ${DEFAULT-VALUE}.")
  private int maxImages = 10;

  @Option(
      names = "--max-prompt",
      paramLabel = "N",
      description = "Characters of a prompt. Default: ${DEFAULT-VALUE}.")
  private int maxPrompt = 4000;

  @Option(
      names = "--queue",
      paramLabel = "N",
      description = "Pictures that may wait; more are refused. Default: ${DEFAULT-VALUE}.")
  private int queue = 64;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Most pictures of a pass. Default: measured at the start.")
  private int batch;

  @Option(
      names = "--window",
      paramLabel = "MS",
      description =
          "Milliseconds that a picture waits for others to share its pass. Default:"
              + " ${DEFAULT-VALUE}.")
  private int window = 5;

  @Option(
      names = "--kv-memory",
      paramLabel = "SIZE",
      description = "Most memory of all KV caches at a time, such as 4GiB. Default: what is free.")
  private @Nullable String kvMemory;

  @Option(
      names = "--keep-minutes",
      paramLabel = "N",
      description = "How long results of jobs are kept. Default: ${DEFAULT-VALUE}.")
  private int keepMinutes = 10;

  @Option(
      names = "--keep-jobs",
      paramLabel = "N",
      description = "How many of them. Default: ${DEFAULT-VALUE}.")
  private int keepJobs = 100;

  @Option(
      names = "--keep-memory",
      paramLabel = "SIZE",
      description = "How much memory they take. Default: ${DEFAULT-VALUE}.")
  private String keepMemory = "256MiB";

  @Option(
      names = "--drain",
      paramLabel = "SECONDS",
      description =
          "When told to stop, how long accepted requests may still take. Default:"
              + " ${DEFAULT-VALUE}.")
  private int drain = 30;

  @Option(names = "--log-prompts", description = "Write prompts into the log, too.")
  private boolean logPrompts;

  /**
   * The options for a server.
   *
   * @param policy of requests that have a budget and name none
   * @param budget of requests that name none, if they don't take the full cache
   * @throws UserException if one is out of range or the file of keys can't be read
   */
  public ServerOptions options(String policy, Optional<String> budget) {
    requireIn("port", port, 0, MAX_PORT);
    requireIn("rate", rate, 0, 1_000_000);
    requireIn("connections", connections, 1, 100_000);
    requireIn("max-n", maxImages, 1, 1000);
    requireIn("max-prompt", maxPrompt, 1, 100_000);
    requireIn("keep-minutes", keepMinutes, 0, 100_000);
    requireIn("keep-jobs", keepJobs, 0, 100_000);
    requireIn("drain", drain, 0, 3600);
    if (metricsPort != null) {
      requireIn("metrics-port", metricsPort, 0, MAX_PORT);
    }
    return new ServerOptions(
        host,
        port,
        metricsPort == null ? OptionalInt.empty() : OptionalInt.of(metricsPort),
        allowedHosts,
        apiKeys == null ? List.of() : keys(apiKeys),
        rate,
        maxImages,
        maxPrompt,
        connections,
        policy,
        budget,
        new ServerOptions.Kept(
            keepJobs, bytes("keep-memory", keepMemory), Duration.ofMinutes(keepMinutes)),
        Duration.ofSeconds(drain),
        logPrompts);
  }

  /**
   * The limits of each device.
   *
   * @param usable bytes that pictures may take on each
   * @param devices that share what the options allow
   * @throws UserException if an option is out of range
   */
  public Limits limits(long usable, int devices) {
    requireIn("queue", queue, 1, 100_000);
    requireIn("batch", batch, 0, 1024);
    requireIn("window", window, 0, 10_000);
    return new Limits(
        kvMemory == null ? usable : bytes("kv-memory", kvMemory) / devices,
        usable,
        queue,
        batch,
        Duration.ofMillis(window));
  }

  /** Whether others than this machine's users may draw without a key. */
  public boolean isOpen(ServerOptions options) {
    return options.apiKeys().isEmpty()
        && !Set.of("127.0.0.1", "localhost", "::1").contains(options.host());
  }

  private static void requireIn(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new UserException(
          "%s %d is out of range; expected %d to %d".formatted(name, value, least, most));
    }
  }

  private static long bytes(String name, String text) {
    if (Budget.parse(text) instanceof Budget.Bytes bytes) {
      return bytes.count();
    }
    throw new UserException("%s %s is no size; expected such as 4GiB".formatted(name, text));
  }

  private static List<String> keys(Path file) {
    List<String> keys;
    try {
      keys =
          Files.readAllLines(file).stream()
              .map(String::strip)
              .filter(line -> !line.isEmpty() && !line.startsWith("#"))
              .toList();
    } catch (IOException e) {
      throw new UserException(file + ": can't be read; expected a key on each line", e);
    }
    if (keys.isEmpty() || keys.stream().anyMatch(key -> key.length() < SHORTEST_KEY)) {
      throw new UserException(
          "%s: has no key or one of less than %d characters; expected long random ones, a line each"
              .formatted(file, SHORTEST_KEY));
    }
    return keys;
  }
}
