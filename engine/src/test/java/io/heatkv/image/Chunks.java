package io.heatkv.image;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** PNG chunks read and made by the tests' own reading of the specification. */
final class Chunks {
  static final byte[] SIGNATURE = {(byte) 0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A};

  private Chunks() {}

  record Chunk(String type, byte[] data) {}

  /** All chunks of a sound file; fails on anything else. */
  static List<Chunk> parse(byte[] png) {
    ByteBuffer in = ByteBuffer.wrap(png);
    byte[] signature = new byte[8];
    in.get(signature);
    check(Arrays.equals(signature, SIGNATURE), "signature");
    List<Chunk> chunks = new ArrayList<>();
    while (in.hasRemaining()) {
      byte[] data = new byte[in.getInt()];
      byte[] type = new byte[4];
      in.get(type).get(data);
      CRC32 crc = new CRC32();
      crc.update(type);
      crc.update(data);
      check(in.getInt() == (int) crc.getValue(), "CRC");
      chunks.add(new Chunk(new String(type, StandardCharsets.US_ASCII), data));
    }
    check(chunks.getFirst().type().equals("IHDR"), "IHDR first");
    check(chunks.getLast().type().equals("IEND"), "IEND last");
    return chunks;
  }

  /** A file of signature, IHDR, the given pieces and IEND. */
  static byte[] file(byte[]... pieces) {
    return join(SIGNATURE, chunk("IHDR", new byte[13]), join(pieces), chunk("IEND", new byte[0]));
  }

  static byte[] chunk(String type, byte[] data) {
    CRC32 crc = new CRC32();
    crc.update(latin1(type));
    crc.update(data);
    return chunk(data.length, type, data, (int) crc.getValue());
  }

  static byte[] chunk(int length, String type, byte[] data, int crc) {
    return ByteBuffer.allocate(12 + data.length)
        .putInt(length)
        .put(latin1(type))
        .put(data)
        .putInt(crc)
        .array();
  }

  static byte[] zlib(byte[] plain) {
    Deflater deflater = new Deflater(9);
    deflater.setInput(plain);
    deflater.finish();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] piece = new byte[4096];
    while (!deflater.finished()) {
      out.write(piece, 0, deflater.deflate(piece));
    }
    deflater.end();
    return out.toByteArray();
  }

  static byte[] latin1(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  static byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.writeBytes(part);
    }
    return out.toByteArray();
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError("not a PNG: " + what);
    }
  }
}
