package io.heatkv.text;

import io.heatkv.error.UserException;
import io.heatkv.error.WrongDownload;
import io.heatkv.text.UnigramModel.Kind;
import io.heatkv.text.UnigramModel.Piece;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads a {@code spiece.model}: the protocol buffer of sentencepiece_model.proto, of which the
 * pieces, the kind of model, the position of the unknown piece and the normalisation matter.
 */
final class SentencePiece {
  private static final int MOST_BYTES = 64 << 20;
  private static final int MOST_PIECES = 1 << 20;
  private static final int LONGEST_PIECE = 1 << 12;

  private static final int PIECES = 1;
  private static final int TRAINER = 2;
  private static final int NORMALIZER = 3;
  private static final int MODEL_TYPE = 3;
  private static final int UNKNOWN_ID = 40;
  private static final int CHARS_MAP = 2;

  private static final int UNIGRAM = 1;
  private static final String END = "</s>";

  private final Path file;
  private final List<Piece> pieces = new ArrayList<>();
  private long modelType = UNIGRAM;
  private long unknown;
  private byte[] charsMap = new byte[0];

  private SentencePiece(Path file) {
    this.file = file;
  }

  /** Takes a field's number and its value: a Long, or a ByteBuffer of fixed or counted bytes. */
  private interface Fields {
    void field(int number, Object value);
  }

  /**
   * Reads a file.
   *
   * @throws UserException if it can't be read, is no SentencePiece model, or not a unigram model
   */
  static UnigramModel read(Path file) {
    byte[] bytes;
    try {
      if (Files.size(file) > MOST_BYTES) {
        throw new UserException(file + ": is larger than 64 MiB; expected a SentencePiece model");
      }
      Optional<String> wrong = WrongDownload.in(file);
      if (wrong.isPresent()) {
        throw new UserException(file + ": " + wrong.get());
      }
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UserException(file + ": can't be read: " + e.getMessage(), e);
    }
    SentencePiece reader = new SentencePiece(file);
    try {
      reader.message(ByteBuffer.wrap(bytes), reader::model);
    } catch (BufferUnderflowException e) {
      throw reader.damaged("a field reaches beyond the end");
    }
    return reader.checked();
  }

  private UnigramModel checked() {
    if (pieces.isEmpty()) {
      throw damaged("it has no pieces");
    }
    if (modelType != UNIGRAM) {
      throw new UserException(
          file
              + ": is a SentencePiece model of kind "
              + modelType
              + "; expected 1, unigram, as T5's");
    }
    if (unknown < 0 || unknown >= pieces.size()) {
      throw damaged("its unknown piece is number " + unknown + " of " + pieces.size());
    }
    int end = 0;
    while (end < pieces.size() && !pieces.get(end).text().equals(END)) {
      end++;
    }
    if (end == pieces.size()) {
      throw new UserException(file + ": has no piece " + END + "; expected the model of a T5");
    }
    return new UnigramModel(pieces, (int) unknown, end, charsMap);
  }

  private void model(int number, Object value) {
    switch (number) {
      case PIECES -> {
        if (pieces.size() == MOST_PIECES) {
          throw damaged("it has more than " + MOST_PIECES + " pieces");
        }
        pieces.add(piece(bytes(value)));
      }
      case TRAINER ->
          message(
              bytes(value),
              (field, each) -> {
                if (field == MODEL_TYPE) {
                  modelType = number(each);
                } else if (field == UNKNOWN_ID) {
                  unknown = number(each);
                }
              });
      case NORMALIZER ->
          message(
              bytes(value),
              (field, each) -> {
                if (field == CHARS_MAP) {
                  charsMap = new byte[bytes(each).remaining()];
                  bytes(each).get(charsMap);
                }
              });
      default -> {
        // Nothing that tokenizing needs.
      }
    }
  }

  private Piece piece(ByteBuffer message) {
    String[] text = {""};
    float[] score = {0};
    long[] type = {1};
    message(
        message,
        (field, value) -> {
          switch (field) {
            case 1 -> text[0] = text(bytes(value));
            case 2 -> score[0] = bytes(value).getFloat();
            case 3 -> type[0] = number(value);
            default -> {
              // Later versions may say more.
            }
          }
        });
    if (!Float.isFinite(score[0])) {
      throw damaged("a piece has the score " + score[0]);
    }
    // 2 unknown, 3 control, 4 user-defined; 5 unused and 6 byte are pieces like others to T5.
    Kind kind =
        type[0] == 2 || type[0] == 3 ? Kind.SPECIAL : type[0] == 4 ? Kind.WHOLE : Kind.NORMAL;
    return new Piece(text[0], score[0], kind);
  }

  private String text(ByteBuffer bytes) {
    if (bytes.remaining() > LONGEST_PIECE) {
      throw damaged("a piece is longer than " + LONGEST_PIECE + " bytes");
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw damaged("a piece is not UTF-8");
    }
  }

  /** All fields of a message, in their order. */
  private void message(ByteBuffer in, Fields fields) {
    in.order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      long tag = varint(in);
      long number = tag >>> 3;
      if (number < 1 || number > Integer.MAX_VALUE) {
        throw damaged("a field has the number " + number);
      }
      Object value =
          switch ((int) (tag & 7)) {
            case 0 -> varint(in);
            case 1 -> counted(in, Long.BYTES);
            case 2 -> counted(in, varint(in));
            case 5 -> counted(in, Float.BYTES);
            default -> throw damaged("a field has the wire type " + (tag & 7));
          };
      fields.field((int) number, value);
    }
  }

  private ByteBuffer counted(ByteBuffer in, long length) {
    if (length < 0 || length > in.remaining()) {
      throw damaged("a field of " + length + " bytes reaches beyond the end");
    }
    ByteBuffer part = in.slice(in.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
    in.position(in.position() + (int) length);
    return part;
  }

  private long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = in.get();
      value |= (next & 0x7FL) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw damaged("a number is longer than 10 bytes");
  }

  private long number(Object value) {
    if (value instanceof Long number) {
      return number;
    }
    throw damaged("a number is stored as bytes");
  }

  private ByteBuffer bytes(Object value) {
    if (value instanceof ByteBuffer bytes) {
      return bytes;
    }
    throw damaged("bytes are stored as a number");
  }

  private UserException damaged(String text) {
    return new UserException(
        file + ": is not a SentencePiece model: " + text + "; fetch the file again");
  }
}
