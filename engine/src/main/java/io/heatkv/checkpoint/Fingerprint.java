package io.heatkv.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Tells models apart in milliseconds, where hashing gigabytes at every start would take seconds.
 *
 * <p>SHA-256 over all tensors in order of name, each as: length of the name in bytes (4 bytes,
 * big-endian), name (UTF-8), dtype name and {@code 0x00}, number of dimensions (4 bytes),
 * dimensions (8 bytes each), then the first and the last 4 KiB of its bytes (all of them, twice,
 * where there are fewer). File names, sharding, metadata and the order in the file do not matter. A
 * change in the middle of a large tensor goes unseen: this guards against the wrong file, not
 * against forgery.
 */
public final class Fingerprint {
  private static final long SAMPLE = 4096;

  private Fingerprint() {}

  /** 64 lower-case hexadecimal digits. */
  public static String of(Checkpoint checkpoint) {
    MessageDigest digest = sha256();
    for (String name : checkpoint.names()) {
      TensorEntry entry = checkpoint.entry(name);
      byte[] key = name.getBytes(StandardCharsets.UTF_8);
      byte[] dtype = entry.dtype().name().getBytes(StandardCharsets.US_ASCII);
      long[] shape = entry.shape();
      ByteBuffer head =
          ByteBuffer.allocate(4 + key.length + dtype.length + 1 + 4 + Long.BYTES * shape.length);
      head.putInt(key.length).put(key).put(dtype).put((byte) 0).putInt(shape.length);
      for (long dimension : shape) {
        head.putLong(dimension);
      }
      digest.update(head.flip());
      MemorySegment bytes = entry.bytes();
      long sample = Math.min(SAMPLE, bytes.byteSize());
      digest.update(bytes.asSlice(0, sample).asByteBuffer());
      digest.update(bytes.asSlice(bytes.byteSize() - sample).asByteBuffer());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** A new SHA-256. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
