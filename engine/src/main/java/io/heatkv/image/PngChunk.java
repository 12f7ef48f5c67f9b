package io.heatkv.image;

import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/** One chunk as bytes: length, type, data, CRC (PNG specification, sections 5.3 and 11). */
final class PngChunk {
  private PngChunk() {}

  /**
   * A tEXt chunk where Latin-1 suffices, else iTXt, uncompressed. Our own record is always iTXt, as
   * JSON is UTF-8.
   */
  static byte[] of(PngText text) {
    boolean latin1 =
        !text.keyword().equals(PngText.HEATKV)
            && text.text().chars().allMatch(c -> c == '\n' || PngText.isLatin1(c));
    return latin1
        ? chunk("tEXt", join(text, new byte[1], StandardCharsets.ISO_8859_1))
        // Four zeros: end of keyword, not compressed, method 0, and empty language; one more ends
        // the empty translated keyword.
        : chunk("iTXt", join(text, new byte[5], StandardCharsets.UTF_8));
  }

  private static byte[] join(PngText text, byte[] between, Charset charset) {
    byte[] keyword = text.keyword().getBytes(StandardCharsets.ISO_8859_1);
    byte[] content = text.text().getBytes(charset);
    return ByteBuffer.allocate(keyword.length + between.length + content.length)
        .put(keyword)
        .put(between)
        .put(content)
        .array();
  }

  static byte[] chunk(String type, byte... data) {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    CRC32 crc = new CRC32();
    crc.update(name);
    crc.update(data);
    return ByteBuffer.allocate(12 + data.length)
        .putInt(data.length)
        .put(name)
        .put(data)
        .putInt((int) crc.getValue())
        .array();
  }
}
