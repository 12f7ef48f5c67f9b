package io.heatkv.server.http;

import io.heatkv.server.ServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.HostAndPort;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Who may ask. Every page in a user's browser reaches a server on the same machine; so requests of
 * other sites are refused, and so are names that an attacker's DNS could lead here: only localhost,
 * addresses and the names allowed are taken.
 */
final class Gate {
  private static final int KNOWN_CLIENTS = 10_000;
  private static final double NANOS_A_MINUTE = 60e9;

  private final ServerOptions options;
  private final List<byte[]> keys;
  // Requests that each client may still send, by owner or address.
  private final Map<String, Bucket> buckets =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Bucket> eldest) {
          return size() > KNOWN_CLIENTS;
        }
      };

  private record Bucket(double left, long at) {}

  Gate(ServerOptions options) {
    this.options = options;
    keys = options.apiKeys().stream().map(Gate::digest).toList();
  }

  /** Refuses what another site's page sends, and names that aren't the server's. */
  void requireOwnSite(HttpServerRequest request) {
    HostAndPort host = request.authority();
    if (host == null || !isOwn(host.host())) {
      throw ApiException.of(
          421,
          "wrong_host",
          "the Host header names another server; ask by localhost or an address, or allow the name");
    }
    String origin = request.getHeader("Origin");
    String site = request.getHeader("Sec-Fetch-Site");
    boolean otherOrigin = origin != null && !isSameOrigin(origin, request.getHeader("Host"));
    if (otherOrigin || "cross-site".equals(site) || "same-site".equals(site)) {
      throw ApiException.of(403, "cross_site", "requests of other sites' pages are refused");
    }
  }

  private boolean isOwn(String name) {
    String host = name.toLowerCase(Locale.ROOT);
    return host.equals("localhost")
        || host.matches("\\d{1,3}(\\.\\d{1,3}){3}")
        || host.contains(":")
        || options.allowedHosts().contains(host);
  }

  private static boolean isSameOrigin(String origin, @Nullable String host) {
    try {
      return host != null && host.equalsIgnoreCase(URI.create(origin).getRawAuthority());
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  /**
   * Whose request it is, by its key; the empty text where no keys are asked for.
   *
   * @throws ApiException if there is none that is known
   */
  String requireKey(HttpServerRequest request) {
    if (keys.isEmpty()) {
      return "";
    }
    String header = request.getHeader("Authorization");
    if (header == null || !header.regionMatches(true, 0, "Bearer ", 0, 7)) {
      throw ApiException.unauthorized("no API key; send Authorization: Bearer KEY");
    }
    byte[] given = digest(header.substring(7).strip());
    boolean known = false;
    // All are compared, so that time doesn't tell which one is near.
    for (byte[] key : keys) {
      known |= MessageDigest.isEqual(key, given);
    }
    if (!known) {
      throw ApiException.unauthorized("the API key is unknown");
    }
    return HexFormat.of().formatHex(given, 0, 8);
  }

  /** Counts a request that draws. */
  void requireRate(String owner, HttpServerRequest request) {
    int most = options.requestsPerMinute();
    if (most == 0) {
      return;
    }
    String client = owner.isEmpty() ? String.valueOf(request.remoteAddress().host()) : owner;
    long now = System.nanoTime();
    synchronized (buckets) {
      Bucket before = buckets.getOrDefault(client, new Bucket(most, now));
      double left = Math.min(most, before.left + most * (now - before.at) / NANOS_A_MINUTE);
      if (left < 1) {
        long seconds = (long) Math.ceil((1 - left) * 60 / most);
        throw ApiException.tooMany(
            "rate_limit_exceeded",
            Math.max(1, seconds),
            "more than %d requests a minute; try again later".formatted(most));
      }
      buckets.put(client, new Bucket(left - 1, now));
    }
  }

  private static byte[] digest(String key) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
