package io.heatkv.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/**
 * A zip archive laid out byte by byte as torch.save does (stored, data descriptors, ZIP64 end
 * records), with the places of its records known, so that tests can make it lie.
 */
final class ZipBytes {
  private static final int RECORDS = 256;

  private ByteBuffer out = ByteBuffer.allocate(1 << 12).order(ByteOrder.LITTLE_ENDIAN);
  private final List<String> names = new ArrayList<>();
  private final List<byte[]> contents = new ArrayList<>();
  private final List<Integer> locals = new ArrayList<>();
  private final List<Integer> centrals = new ArrayList<>();
  // Descriptors of 64 bits, as torch.save writes them in large archives.
  private boolean large;
  private boolean closed;
  private int end64;
  private int end;

  /** An archive of that pickle and a storage "0" of zeros. */
  static ZipBytes torch(byte[] pickle, int storageBytes) {
    return torch(new ZipBytes(), pickle, storageBytes);
  }

  private static ZipBytes torch(ZipBytes empty, byte[] pickle, int storageBytes) {
    return empty
        .add("m/data.pkl", pickle)
        .add("m/byteorder", "little")
        .add("m/data/0", new byte[storageBytes])
        .add("m/version", "3\n");
  }

  /** A sound archive: "w" is float32 [2, 3]. */
  static ZipBytes sound() {
    return torch(PickleBytes.tensor(6, 0, new long[] {2, 3}, new long[] {3, 1}), 24);
  }

  /** Likewise with descriptors of 64 bits. */
  static ZipBytes soundLarge() {
    ZipBytes zip = new ZipBytes();
    zip.large = true;
    return torch(zip, PickleBytes.tensor(6, 0, new long[] {2, 3}, new long[] {3, 1}), 24);
  }

  ZipBytes add(String name, String content) {
    return add(name, content.getBytes(StandardCharsets.US_ASCII));
  }

  ZipBytes add(String name, byte[] content) {
    byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
    ensure(content.length + utf8.length);
    names.add(name);
    contents.add(content);
    locals.add(out.position());
    out.putInt(0x04034b50).putShort((short) 0).putShort((short) 0x0808).putShort((short) 0);
    out.putInt(0).putInt(0).putInt(0).putInt(0);
    out.putShort((short) utf8.length).putShort((short) 4).put(utf8);
    out.put((byte) 'F').put((byte) 'B').putShort((short) 0).put(content);
    if (content.length > 0) {
      out.putInt(0x08074b50).putInt(crc(content));
      if (large) {
        out.putLong(content.length).putLong(content.length);
      } else {
        out.putInt(content.length).putInt(content.length);
      }
    }
    return this;
  }

  /** Writes the directory and the end records, once. */
  ZipBytes close() {
    if (closed) {
      return this;
    }
    closed = true;
    int directory = out.position();
    for (int i = 0; i < names.size(); i++) {
      byte[] utf8 = names.get(i).getBytes(StandardCharsets.UTF_8);
      ensure(utf8.length);
      centrals.add(out.position());
      out.putInt(0x02014b50).putInt(0).putShort((short) 0x0808).putShort((short) 0).putInt(0);
      out.putInt(crc(contents.get(i)));
      out.putInt(contents.get(i).length).putInt(contents.get(i).length);
      out.putShort((short) utf8.length).putInt(0).putInt(0).putInt(0).putInt(locals.get(i));
      out.put(utf8);
    }
    ensure(0);
    end64 = out.position();
    int length = end64 - directory;
    out.putInt(0x06064b50).putLong(44).putShort((short) 30).putShort((short) 45).putLong(0);
    out.putLong(names.size()).putLong(names.size()).putLong(length).putLong(directory);
    out.putInt(0x07064b50).putInt(0).putLong(end64).putInt(1);
    end = out.position();
    out.putInt(0x06054b50).putInt(0).putShort((short) names.size()).putShort((short) names.size());
    out.putInt(length).putInt(directory).putShort((short) 0);
    return this;
  }

  /** Where the header of an entry is, the directory's record of it, and the end records. */
  int local(int entry) {
    return locals.get(entry);
  }

  int central(int entry) {
    close();
    return centrals.get(entry);
  }

  int end64() {
    close();
    return end64;
  }

  int end() {
    close();
    return end;
  }

  int size() {
    close();
    return out.position();
  }

  ZipBytes put16(int at, int value) {
    out.putShort(at, (short) value);
    return this;
  }

  ZipBytes put32(int at, int value) {
    out.putInt(at, value);
    return this;
  }

  ZipBytes put64(int at, long value) {
    out.putLong(at, value);
    return this;
  }

  ZipBytes put(int at, String ascii) {
    out.put(at, ascii.getBytes(StandardCharsets.US_ASCII));
    return this;
  }

  byte[] bytes() {
    close();
    byte[] bytes = new byte[out.position()];
    out.get(0, bytes);
    return bytes;
  }

  /** Room for that many bytes and the records around them. */
  private void ensure(int bytes) {
    int needed = out.position() + bytes + RECORDS;
    if (needed > out.capacity()) {
      ByteBuffer larger = ByteBuffer.allocate(2 * needed).order(ByteOrder.LITTLE_ENDIAN);
      out = larger.put(out.flip());
    }
  }

  private static int crc(byte[] content) {
    CRC32 crc = new CRC32();
    crc.update(content);
    return (int) crc.getValue();
  }
}
