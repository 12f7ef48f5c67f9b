package io.heatkv.error;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/** Recognises what downloads leave in the place of a file. */
public final class WrongDownload {
  private static final int START = 64;

  private WrongDownload() {}

  /**
   * What a file is instead of itself and what to do, as the end of a message; empty if nothing
   * speaks against it.
   */
  public static Optional<String> in(Path file) throws IOException {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(START);
    }
    String text = new String(start, StandardCharsets.ISO_8859_1).strip().toLowerCase(Locale.ROOT);
    if (text.startsWith("version https://git-lfs.github.com/spec/")) {
      return Optional.of(
          "is a Git LFS pointer, not the file that it stands for; fetch that with git lfs pull");
    }
    if (text.startsWith("<!doctype html") || text.startsWith("<html")) {
      return Optional.of("is a web page, not the file asked for; download it again");
    }
    return Optional.empty();
  }
}
