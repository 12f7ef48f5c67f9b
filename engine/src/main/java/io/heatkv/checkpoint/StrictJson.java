package io.heatkv.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** One JSON object out of bytes: strict UTF-8, shallow, nothing behind it but white space. */
final class StrictJson {
  private static final int DEEPEST = 16;
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          // Keys are thousands of different names: a symbol table would only cost.
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(DEEPEST)
                  .maxStringLength(100_000_000)
                  .build())
          .build();

  private StrictJson() {}

  /** Reads the object's content; the parser stands on its opening brace. */
  interface Body<T> {
    T read(JsonParser parser) throws IOException;
  }

  /**
   * Parses all of {@code bytes}.
   *
   * @param what what the JSON is, for messages ("the header")
   * @throws UserException if the bytes are not UTF-8, not JSON, no object or have a tail
   */
  static <T> T parse(Path file, String what, ByteBuffer bytes, Body<T> body) {
    // A decoder of our own, since Jackson guesses UTF-16 and lets overlong forms through.
    try (Reader reader =
            new InputStreamReader(new BufferStream(bytes), StandardCharsets.UTF_8.newDecoder());
        JsonParser parser = FACTORY.createParser(reader)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw Problems.damaged(file, what + " is not a JSON object");
      }
      T result = body.read(parser);
      if (parser.nextToken() != null) {
        throw Problems.damaged(file, what + " is followed by something else than spaces");
      }
      return result;
    } catch (CharacterCodingException e) {
      throw Problems.damaged(file, what + " is not valid UTF-8");
    } catch (JsonProcessingException e) {
      throw Problems.damaged(
          file, what + " is not valid JSON: " + Problems.quiet(e.getOriginalMessage()));
    } catch (IOException e) {
      throw Problems.unreadable(file, e);
    }
  }

  /** The text of a key or string value, refused where it is no Unicode (a lone surrogate). */
  static String text(Path file, JsonParser parser) throws IOException {
    String text = parser.getText();
    if (!isUnicode(text)) {
      throw Problems.damaged(file, Problems.quote(text) + " is not valid Unicode");
    }
    return text;
  }

  /** False for text with a lone surrogate, which UTF-8 cannot express. */
  static boolean isUnicode(String text) {
    return text.codePoints().noneMatch(p -> p >= 0xD800 && p <= 0xDFFF);
  }

  /** A buffer as a stream, so that a long header is never copied whole. */
  private static final class BufferStream extends InputStream {
    private final ByteBuffer buffer;

    BufferStream(ByteBuffer buffer) {
      this.buffer = buffer;
    }

    @Override
    public int read() {
      return buffer.hasRemaining() ? buffer.get() & 0xFF : -1;
    }

    @Override
    public int read(byte[] into, int offset, int length) {
      if (!buffer.hasRemaining()) {
        return -1;
      }
      int count = Math.min(length, buffer.remaining());
      buffer.get(into, offset, count);
      return count;
    }
  }
}
