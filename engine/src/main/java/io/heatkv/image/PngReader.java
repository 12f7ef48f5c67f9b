package io.heatkv.image;

import io.heatkv.error.UserException;
import io.heatkv.error.WrongDownload;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * One pass over the chunks of a PNG file; no length in it is believed before its bytes are there.
 */
final class PngReader {
  /** What all texts of a file may hold together, unpacked. */
  private static final int MOST_TEXT = 16 << 20;

  private static final int MOST_TEXTS = 1000;

  private static final int PIECE = 8192;

  private final Path file;
  private final DataInputStream in;
  private final byte[] piece = new byte[PIECE];
  private final List<PngText> texts = new ArrayList<>();
  private final List<UserException> malformed = new ArrayList<>();
  private long left;
  private int textLeft = MOST_TEXT;

  private PngReader(Path file, DataInputStream in, long size) {
    this.file = file;
    this.in = in;
    this.left = size;
  }

  /** A text that can't be read, though its chunk is whole. */
  private static final class MalformedText extends Exception {
    private static final long serialVersionUID = 1;

    MalformedText(String message) {
      super(message);
    }
  }

  static List<PngText> readTexts(Path file, Consumer<UserException> problems) {
    if (Files.isDirectory(file)) {
      throw PngProblems.of(file, "is a folder; expected a PNG file");
    }
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw PngProblems.of(file, "is not a regular file; expected a PNG file");
    }
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      PngReader reader = new PngReader(file, in, Files.size(file));
      reader.read();
      if (reader.texts.isEmpty() && !reader.malformed.isEmpty()) {
        throw reader.malformed.getFirst();
      }
      reader.malformed.forEach(problems);
      return List.copyOf(reader.texts);
    } catch (EOFException e) {
      throw PngProblems.damaged(file, "ends in the middle of a chunk");
    } catch (IOException e) {
      throw PngProblems.failed(file, "cannot be read", e);
    }
  }

  private void read() throws IOException {
    if (!Arrays.equals(in.readNBytes(Png.SIGNATURE.length), Png.SIGNATURE)) {
      throw PngProblems.of(
          file, WrongDownload.in(file).orElse("does not start like a PNG; expected a PNG file"));
    }
    left -= Png.SIGNATURE.length;
    String type = readChunk(true);
    while (!type.equals("IEND")) {
      type = readChunk(false);
    }
  }

  /** Reads a chunk, checksum included, and returns its type. */
  private String readChunk(boolean first) throws IOException {
    if (left == 0) {
      throw PngProblems.damaged(file, "ends before its IEND chunk");
    }
    long length = Integer.toUnsignedLong(in.readInt());
    byte[] name = new byte[4];
    in.readFully(name);
    left -= 8;
    String type = typeOf(name);
    if (first && !type.equals("IHDR")) {
      throw PngProblems.damaged(file, "starts with the chunk " + type + " instead of IHDR");
    }
    if (length > left - 4) {
      throw PngProblems.damaged(
          file,
          "has a chunk " + type + " of " + length + " bytes, but only " + left + " bytes follow");
    }
    CRC32 crc = new CRC32();
    crc.update(name);
    byte[] text = isText(type) ? take(type, length) : null;
    if (text != null) {
      crc.update(text);
    } else {
      pass(length, crc);
    }
    int stored = in.readInt();
    left -= length + 4;
    if (stored != (int) crc.getValue()) {
      throw PngProblems.damaged(file, "has a chunk " + type + " whose checksum is wrong");
    }
    if (text != null) {
      try {
        texts.add(parse(type, text));
      } catch (MalformedText e) {
        malformed.add(PngProblems.damaged(file, String.valueOf(e.getMessage())));
      }
    }
    return type;
  }

  private String typeOf(byte[] name) {
    for (byte letter : name) {
      if (!(letter >= 'A' && letter <= 'Z') && !(letter >= 'a' && letter <= 'z')) {
        throw PngProblems.damaged(file, "has a chunk whose type is not four letters");
      }
    }
    return new String(name, StandardCharsets.US_ASCII);
  }

  private static boolean isText(String type) {
    return type.equals("tEXt") || type.equals("zTXt") || type.equals("iTXt");
  }

  private byte[] take(String type, long length) throws IOException {
    if (length > textLeft || texts.size() + malformed.size() == MOST_TEXTS) {
      throw tooMuch(type);
    }
    byte[] data = new byte[(int) length];
    in.readFully(data);
    // Counted twice where packed: what the file holds, and what comes out of it.
    textLeft -= data.length;
    return data;
  }

  private void pass(long length, CRC32 crc) throws IOException {
    for (long rest = length; rest > 0; ) {
      int count = (int) Math.min(rest, PIECE);
      in.readFully(piece, 0, count);
      crc.update(piece, 0, count);
      rest -= count;
    }
  }

  private PngText parse(String type, byte[] data) throws MalformedText {
    ByteBuffer rest = ByteBuffer.wrap(data);
    String keyword = string(rest, type);
    if (!PngText.isKeyword(keyword)) {
      throw malformed(type);
    }
    String text =
        switch (type) {
          case "tEXt" -> latin1(remaining(rest));
          case "zTXt" -> {
            flag(rest, type, 0);
            yield latin1(inflate(remaining(rest), type));
          }
          default -> international(rest, type);
        };
    if (!PngText.isText(text)) {
      throw malformed(type);
    }
    return new PngText(keyword, text);
  }

  /** Flag, method, language and translated keyword, then UTF-8, perhaps packed. */
  private String international(ByteBuffer rest, String type) throws MalformedText {
    boolean packed = flag(rest, type, 1) == 1;
    int method = flag(rest, type, 255);
    if (packed && method != 0) {
      throw malformed(type);
    }
    string(rest, type);
    string(rest, type);
    byte[] bytes = packed ? inflate(remaining(rest), type) : remaining(rest);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new MalformedText("has a chunk iTXt that is not valid UTF-8");
    }
  }

  private static int flag(ByteBuffer rest, String type, int highest) throws MalformedText {
    int value = rest.hasRemaining() ? rest.get() & 0xFF : 256;
    if (value > highest) {
      throw malformed(type);
    }
    return value;
  }

  /** The bytes up to the next zero, which is passed. */
  private static String string(ByteBuffer rest, String type) throws MalformedText {
    int start = rest.position();
    while (rest.hasRemaining()) {
      if (rest.get() == 0) {
        return new String(
            rest.array(), start, rest.position() - 1 - start, StandardCharsets.ISO_8859_1);
      }
    }
    throw malformed(type);
  }

  private static byte[] remaining(ByteBuffer rest) {
    return Arrays.copyOfRange(rest.array(), rest.position(), rest.limit());
  }

  private static String latin1(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  private byte[] inflate(byte[] packed, String type) throws MalformedText {
    Inflater inflater = new Inflater();
    int size = 0;
    try {
      inflater.setInput(packed);
      byte[] out = new byte[Math.min(textLeft, PIECE)];
      while (!inflater.finished()) {
        if (size == out.length) {
          if (out.length >= textLeft) {
            throw tooMuch(type);
          }
          out = Arrays.copyOf(out, Math.min(textLeft, 2 * out.length));
        }
        int count = inflater.inflate(out, size, out.length - size);
        if (count == 0 && !inflater.finished()) {
          throw malformed(type);
        }
        size += count;
      }
      return Arrays.copyOf(out, size);
    } catch (DataFormatException e) {
      throw new MalformedText("has a chunk " + type + " that cannot be unpacked");
    } finally {
      textLeft -= size;
      inflater.end();
    }
  }

  private static MalformedText malformed(String type) {
    return new MalformedText("has a malformed chunk " + type);
  }

  private UserException tooMuch(String type) {
    return PngProblems.of(
        file,
        "has more than "
            + MOST_TEXTS
            + " texts or "
            + MOST_TEXT
            + " bytes of text, seen in a chunk "
            + type
            + "; this is no record of a picture");
  }
}
