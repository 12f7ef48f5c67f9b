package io.heatkv.schedule;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 as lower-case hexadecimal digits. */
public final class Sha256 {
  private Sha256() {}

  public static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  public static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest());
  }

  public static String of(String ascii) {
    MessageDigest digest = digest();
    digest.update(ascii.getBytes(StandardCharsets.US_ASCII));
    return hex(digest);
  }

  public static boolean isHex(String text) {
    return text.matches("[0-9a-f]{64}");
  }
}
