package io.heatkv.server.http;

import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where a request belongs among others', as W3C's trace context says it.
 *
 * @param traceId 32 hexadecimal digits, the caller's or new ones
 * @param spanId 16, of this request
 * @param flags two, the caller's
 */
record Trace(String traceId, String spanId, String flags) {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final Pattern PARENT =
      Pattern.compile(
          "(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?");

  /** Goes on with a caller's trace, if it names one. */
  static Trace of(@Nullable String traceparent) {
    Matcher parent = PARENT.matcher(traceparent == null ? "" : traceparent);
    // Only versions to come may have more behind the flags.
    return parent.matches() && (parent.group(4) == null || !parent.group(1).equals("00"))
        ? new Trace(parent.group(2), hex(8), parent.group(3))
        : new Trace(hex(16), hex(8), "00");
  }

  /** For the answer. */
  String header() {
    return "00-" + traceId + "-" + spanId + "-" + flags;
  }

  private static String hex(int bytes) {
    return HexFormat.of().formatHex(random(bytes));
  }

  /** 128 random bits that can stand in a path. */
  static String unguessable() {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(random(16));
  }

  private static byte[] random(int bytes) {
    byte[] random = new byte[bytes];
    RANDOM.nextBytes(random);
    return random;
  }
}
