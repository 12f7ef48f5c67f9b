package io.heatkv.convert;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;

/** What both kinds of output folder must look like. */
public final class Folders {
  private Folders() {}

  public static Path fixture(String name) {
    try {
      return Path.of(
          Objects.requireNonNull(Folders.class.getResource("/checkpoint/" + name)).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** All files with their checksums, which SHA256SUMS must state for every other file. */
  public static Map<String, String> checkedSums(Path folder) throws IOException {
    Map<String, String> sums = new TreeMap<>();
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.toList();
    }
    for (Path file : files) {
      sums.put(file.getFileName().toString(), sha256(Files.readAllBytes(file)));
    }
    String own = sums.remove("SHA256SUMS");
    List<String> expected =
        sums.entrySet().stream().map(e -> e.getValue() + "  " + e.getKey()).toList();
    assertThat(Files.readAllLines(folder.resolve("SHA256SUMS"))).isEqualTo(expected);
    sums.put("SHA256SUMS", own);
    return sums;
  }

  public static void assertOneLine(UserException refusal, Path folder) {
    assertThat(refusal.getMessage())
        .startsWith(folder + ": ")
        .doesNotContainPattern("\\p{Cntrl}")
        .doesNotEndWith(".");
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
