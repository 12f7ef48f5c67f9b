package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.regex.Pattern;

/**
 * Reads little-endian numbers one after another and refuses to step past the end, so that no length
 * is believed before its bytes are proven present.
 */
final class Cursor {
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** A lone surrogate as Python's pickle writes it, three bytes that UTF-8 has no place for. */
  private static final Pattern SURROGATE = Pattern.compile("\\xed[\\xa0-\\xbf][\\x80-\\xbf]");

  private final Path file;
  private final String what;
  private final MemorySegment bytes;
  private long at;

  /**
   * Starts at the first byte.
   *
   * @param what what the bytes are, for messages ("the zip directory")
   */
  Cursor(Path file, String what, MemorySegment bytes) {
    this.file = file;
    this.what = what;
    this.bytes = bytes;
  }

  long position() {
    return at;
  }

  long remaining() {
    return bytes.byteSize() - at;
  }

  int u8() {
    return bytes.get(ValueLayout.JAVA_BYTE, advance(1)) & 0xFF;
  }

  int u16() {
    return bytes.get(SHORT, advance(2)) & 0xFFFF;
  }

  int i32() {
    return bytes.get(INT, advance(4));
  }

  long u32() {
    return Integer.toUnsignedLong(i32());
  }

  long i64() {
    return bytes.get(LONG, advance(8));
  }

  /** A 64-bit size or offset, which must fit 63 bits. */
  long size() {
    long value = i64();
    if (value < 0) {
      throw Problems.damaged(
          file,
          what
              + " declares a size of "
              + Long.toUnsignedString(value)
              + ", beyond any file (at byte "
              + (at - 8)
              + ")");
    }
    return value;
  }

  /** The next bytes, as a view. */
  MemorySegment take(long length) {
    return bytes.asSlice(advance(length), length);
  }

  /** The next bytes as text. */
  String text(long length) {
    try {
      return decoded(take(length).asByteBuffer());
    } catch (CharacterCodingException _) {
      throw noText(length);
    }
  }

  /** The next bytes as a string of Python's, half of a surrogate pair read as a question mark. */
  String pythonText(long length) {
    MemorySegment bytes = take(length);
    try {
      return decoded(bytes.asByteBuffer());
    } catch (CharacterCodingException _) {
      String latin = StandardCharsets.ISO_8859_1.decode(bytes.asByteBuffer()).toString();
      String whole = SURROGATE.matcher(latin).replaceAll("?");
      try {
        return decoded(ByteBuffer.wrap(whole.getBytes(StandardCharsets.ISO_8859_1)));
      } catch (CharacterCodingException _) {
        throw noText(length);
      }
    }
  }

  private static String decoded(ByteBuffer utf8) throws CharacterCodingException {
    return StandardCharsets.UTF_8.newDecoder().decode(utf8).toString();
  }

  private UserException noText(long length) {
    return Problems.damaged(
        file, what + " has text that is not valid UTF-8 (at byte " + (at - length) + ")");
  }

  /** Text up to a line feed, which is passed over. */
  String line(int longest) {
    long end = at;
    while (end < bytes.byteSize() && bytes.get(ValueLayout.JAVA_BYTE, end) != '\n') {
      end++;
      if (end - at > longest) {
        throw Problems.damaged(
            file, what + " has a name longer than " + longest + " bytes (at byte " + at + ")");
      }
    }
    String line = text(end - at);
    advance(1);
    return line;
  }

  private long advance(long length) {
    if (length < 0 || length > remaining()) {
      throw past(length);
    }
    long start = at;
    at += length;
    return start;
  }

  private UserException past(long length) {
    return Problems.damaged(
        file,
        what
            + " asks for "
            + length
            + " bytes at byte "
            + at
            + ", but only "
            + remaining()
            + " follow");
  }
}
