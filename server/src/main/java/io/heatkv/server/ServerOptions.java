package io.heatkv.server;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * How a server is reached, and what it allows.
 *
 * @param host address to listen at
 * @param port to listen at; 0 takes a free one
 * @param metricsPort of metrics and health alone, if they have one
 * @param allowedHosts names besides localhost and addresses by which browsers may call it
 * @param apiKeys that clients name; none needs one if there are none
 * @param requestsPerMinute of a key or address; 0 doesn't limit them
 * @param maxImages of a request
 * @param maxPrompt characters of a prompt
 * @param connections at a time
 * @param policy of requests that have a budget and name none
 * @param budget of requests that name none; without one they take the full cache
 * @param kept how long and how many results of jobs are kept
 * @param drain how long requests may still take when the server stops
 * @param logPrompts whether the log has prompts
 */
public record ServerOptions(
    String host,
    int port,
    OptionalInt metricsPort,
    Set<String> allowedHosts,
    List<String> apiKeys,
    int requestsPerMinute,
    int maxImages,
    int maxPrompt,
    int connections,
    String policy,
    Optional<String> budget,
    Kept kept,
    Duration drain,
    boolean logPrompts) {
  public ServerOptions {
    allowedHosts = Set.copyOf(allowedHosts);
    apiKeys = List.copyOf(apiKeys);
  }

  /**
   * Bounds of what is kept of jobs that have ended.
   *
   * @param jobs at a time
   * @param bytes of their pictures
   * @param time since they ended
   */
  public record Kept(int jobs, long bytes, Duration time) {}

  @Override
  public String toString() {
    // Without the keys.
    return "server at " + host + ":" + port;
  }
}
