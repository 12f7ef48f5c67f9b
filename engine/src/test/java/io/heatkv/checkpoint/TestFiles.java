package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/** Golden files, hand-made safetensors bytes and what every refusal must look like. */
final class TestFiles {
  private TestFiles() {}

  static Path golden(String name) {
    return resource("/golden/tiny-a/" + name);
  }

  static Path fixture(String name) {
    return resource("/checkpoint/" + name);
  }

  private static Path resource(String name) {
    try {
      return Path.of(Objects.requireNonNull(TestFiles.class.getResource(name)).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Length prefix, header, and {@code data} zero bytes. */
  static byte[] safetensors(String header, int data) {
    return safetensors(header.getBytes(StandardCharsets.UTF_8), data);
  }

  static byte[] safetensors(byte[] header, int data) {
    return declaring(header.length, header, data);
  }

  static byte[] declaring(long length, byte[] header, int data) {
    return ByteBuffer.allocate(8 + header.length + data)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(header)
        .array();
  }

  static Path write(Path file, byte[] bytes) {
    try {
      return Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** One bounded line that begins with the file. */
  static void assertOneLine(UserException refusal, Path file) {
    assertThat(refusal.getMessage())
        .startsWith(file.toString() + ": ")
        .hasSizeLessThan(file.toString().length() + 1500)
        .doesNotContainPattern("[\\p{Cntrl}\\u2028\\u2029]")
        .doesNotEndWith(".");
  }
}
