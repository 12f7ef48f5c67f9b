package io.heatkv.checkpoint;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;

/** The older layout of torch.save around any pickle, with one storage "0" of zeros. */
final class LegacyBytes {
  static final byte[] MAGIC = HexFormat.of().parseHex("80028a0a6cfc9c46f9206aa850192e");

  private LegacyBytes() {}

  static byte[] of(byte[] pickle, long elements, int storageBytes) {
    return of(pickle, true, elements, storageBytes);
  }

  static byte[] of(byte[] pickle, boolean littleEndian, long elements, int storageBytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(MAGIC);
    out.writeBytes(PickleBytes.of(p -> p.raw('M', 0xe9, 0x03)));
    out.writeBytes(
        PickleBytes.of(
            p -> p.raw('}').text("little_endian").raw(littleEndian ? 0x88 : 0x89).raw('s')));
    out.writeBytes(pickle);
    out.writeBytes(PickleBytes.of(p -> p.raw(']').text("0").raw('a')));
    out.writeBytes(new PickleBytes().i64(elements).bytes());
    out.writeBytes(new byte[storageBytes]);
    return out.toByteArray();
  }
}
