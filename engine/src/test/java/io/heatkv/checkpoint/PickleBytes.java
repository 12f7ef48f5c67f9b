package io.heatkv.checkpoint;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** Writes pickles opcode by opcode, sound or not, as nothing else would. */
final class PickleBytes {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** A pickle of protocol 2 with that body, and STOP. */
  static byte[] of(Consumer<PickleBytes> body) {
    PickleBytes pickle = new PickleBytes().raw(0x80, 2);
    body.accept(pickle);
    return pickle.raw('.').bytes();
  }

  /** A dict of one tensor, "w": float32 of a storage "0". */
  static byte[] tensor(long elements, long offset, long[] shape, long[] strides) {
    return of(p ->
        p.raw('}')
            .text("w")
            .tensor("FloatStorage", "0", elements, offset, shape, strides)
            .raw('s'));
  }

  byte[] bytes() {
    return out.toByteArray();
  }

  PickleBytes raw(int... bytes) {
    for (int b : bytes) {
      out.write(b);
    }
    return this;
  }

  PickleBytes raw(String ascii) {
    out.writeBytes(ascii.getBytes(StandardCharsets.ISO_8859_1));
    return this;
  }

  PickleBytes i32(int value) {
    return put(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value));
  }

  PickleBytes i64(long value) {
    return put(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value));
  }

  private PickleBytes put(ByteBuffer buffer) {
    out.writeBytes(buffer.array());
    return this;
  }

  PickleBytes text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    raw('X').i32(utf8.length);
    out.writeBytes(utf8);
    return this;
  }

  PickleBytes whole(long value) {
    return raw(0x8a, 8).i64(value);
  }

  PickleBytes global(String module, String name) {
    return raw("c" + module + "\n" + name + "\n");
  }

  PickleBytes wholes(long... values) {
    raw('(');
    for (long value : values) {
      whole(value);
    }
    return raw('t');
  }

  PickleBytes storage(String kind, String key, long elements) {
    return raw('(')
        .text("storage")
        .global("torch", kind)
        .text(key)
        .text("cpu")
        .whole(elements)
        .raw('t', 'Q');
  }

  PickleBytes tensor(
      String kind, String key, long elements, long offset, long[] shape, long[] strides) {
    return global("torch._utils", "_rebuild_tensor_v2")
        .raw('(')
        .storage(kind, key, elements)
        .whole(offset)
        .wholes(shape)
        .wholes(strides)
        .raw(0x89)
        .global("collections", "OrderedDict")
        .raw(')', 'R', 't', 'R');
  }

  PickleBytes repeat(int times, Consumer<PickleBytes> body) {
    for (int i = 0; i < times; i++) {
      body.accept(this);
    }
    return this;
  }
}
