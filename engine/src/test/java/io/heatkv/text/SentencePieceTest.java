package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SentencePieceTest {
  private static final Path MODEL = TestDevice.resource("/golden-published/flan-t5/spiece.model");

  @TempDir Path folder;

  @Test
  void givesTheIdsOfHuggingFacesConversion() {
    List<?> texts = JsonObject.readList(TestDevice.resource("/golden-published/ids.json"));
    assertThat(texts).hasSizeGreaterThan(30);
    try (PromptTokenizer tokenizer = PromptTokenizer.in(MODEL.getParent(), 512)) {
      for (Object item : texts) {
        List<?> pair = (List<?>) item;
        int[] ids =
            ((List<?>) pair.get(1)).stream().mapToInt(id -> ((Double) id).intValue()).toArray();
        assertThat(tokenizer.encode((String) pair.get(0)).ids())
            .as("'" + pair.get(0) + "'")
            .isEqualTo(ids);
      }
    }
  }

  @Test
  void givesTheSameIdsFromItsOwnTokenizerJson() throws IOException {
    Path json = Files.write(folder.resolve("tokenizer.json"), SentencePiece.read(MODEL).toJson());
    try (PromptTokenizer pieces = PromptTokenizer.in(MODEL.getParent(), 6);
        PromptTokenizer written = PromptTokenizer.open(json, 6)) {
      String text = "the quick brown fox jumps over the lazy dog";
      assertThat(written.encode(text).ids()).isEqualTo(pieces.encode(text).ids()).endsWith(1);
      assertThat(written.encode(text).truncated()).isTrue();
    }
  }

  @Test
  void lettersReadAnyText() throws IOException {
    Path json = Files.write(folder.resolve("letters.json"), PromptTokenizer.letters());
    try (PromptTokenizer letters = PromptTokenizer.open(json, 100)) {
      // A space and a letter are one piece: 5 is the piece of a marked '!', 4 of a plain one.
      assertThat(letters.encode("! !!").ids()).containsExactly(5, 5, 4, 1);
      assertThat(letters.encode("\u65e5").ids()).containsExactly(3, 2, 1);
    }
  }

  @Test
  void readsAModelWithoutNormalisationAndUnknownFields() throws IOException {
    Path file =
        write(
            message(
                piece("<pad>", 0, 3),
                piece("</s>", 0, 3),
                piece("<unk>", 0, 2),
                piece("\u2581a", -1, 1),
                piece("b", -2.5f, 1),
                piece("whole", 0, 4),
                field(2, message(varint(3, 1), varint(40, 2), varint(99, 5))),
                field(3, message(field(1, "identity".getBytes(StandardCharsets.UTF_8)))),
                field(77, new byte[3])));
    UnigramModel model = SentencePiece.read(file);
    assertThat(model.unknown()).isEqualTo(2);
    assertThat(model.end()).isEqualTo(1);
    assertThat(model.charsMap()).isEmpty();
    assertThat(model.pieces().get(4))
        .isEqualTo(new UnigramModel.Piece("b", -2.5f, UnigramModel.Kind.NORMAL));
    assertThat(model.pieces().get(5).kind()).isEqualTo(UnigramModel.Kind.WHOLE);
    Files.move(file, folder.resolve("spiece.model"));
    try (PromptTokenizer tokenizer = PromptTokenizer.in(folder, 9)) {
      assertThat(tokenizer.encode("ab wholeb").ids()).containsExactly(3, 4, 5, 2, 4, 1);
    }
  }

  @Test
  void refusesOtherKindsInOneLine() throws IOException {
    refused(message(piece("</s>", 0, 3), field(2, message(varint(3, 2)))), "of kind 2; expected 1");
    refused(message(piece("a", 0, 1)), "has no piece </s>");
    refused(message(piece("</s>", Float.NaN, 3)), "the score NaN");
    refused(message(piece("</s>", 0, 3), field(2, message(varint(40, 9)))), "number 9 of 1");
    refused(message(field(1, new byte[] {10, 1, (byte) 0xFF})), "not UTF-8");
    refused(message(piece("</s>", Float.NEGATIVE_INFINITY, 3)), "the score -Infinity");
    refused(message(piece("</s>", 0, 3), field(2, message(varint(40, 1)))), "number 1 of 1");
    refused(message(piece("x".repeat(4097), 0, 1)), "longer than 4096 bytes");
    refused(message(piece("x".repeat(4096), 0, 1)), "has no piece </s>");
    refused(message(varint(1, 3)), "bytes are stored as a number");
    refused(message(field(2, message(field(3, new byte[1])))), "a number is stored as bytes");
    refused(new byte[] {3}, "a field has the number 0");
    refused(new byte[] {11}, "the wire type 3");
    // Number 2^32 + 1, whose lower half is that of pieces, and 2^60.
    refused(new byte[] {-118, -128, -128, -128, -128, 1, 0}, "has the number 4294967297");
    refused(new byte[] {-128, -128, -128, -128, -128, -128, -128, -128, 64, 0}, "a field has the");
    refused(new byte[] {8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1}, "longer than 10 bytes");
    refused(new byte[] {10, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1}, "a field of -1 bytes");
    refused(new byte[0], "no pieces");
    refused("PK not a model".getBytes(StandardCharsets.UTF_8), "is not a SentencePiece model");
    refused(new byte[] {10, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 127}, "beyond the end");
  }

  @Test
  void damageIsRefusedOrHarmless() throws IOException {
    byte[] sound = Files.readAllBytes(MODEL);
    Random random = new Random(11);
    int refused = 0;
    for (int round = 0; round < 300; round++) {
      byte[] damaged = sound.clone();
      int at = random.nextInt(3000);
      if (round % 2 == 0) {
        damaged = Arrays.copyOf(damaged, at);
      } else {
        damaged[at] ^= (byte) (1 + random.nextInt(255));
      }
      Path file = write(damaged);
      try {
        SentencePiece.read(file);
      } catch (UserException e) {
        refused++;
        assertThat(e.getMessage()).as("seed 11 round " + round).doesNotContain("\n");
      }
    }
    assertThat(refused).isGreaterThan(100);
  }

  private void refused(byte[] bytes, String words) throws IOException {
    Path file = write(bytes);
    assertThatThrownBy(() -> SentencePiece.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(words);
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("some.model"), bytes);
  }

  private static byte[] piece(String text, float score, int type) {
    byte[] fixed =
        ByteBuffer.allocate(5)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) 21)
            .putFloat(score)
            .array();
    return field(
        1, message(field(1, text.getBytes(StandardCharsets.UTF_8)), fixed, varint(3, type)));
  }

  private static byte[] message(byte[]... fields) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] field : fields) {
      out.writeBytes(field);
    }
    return out.toByteArray();
  }

  private static byte[] field(int number, byte[] content) {
    return message(raw((number << 3) | 2), raw(content.length), content);
  }

  private static byte[] varint(int number, int value) {
    return message(raw(number << 3), raw(value));
  }

  private static byte[] raw(int value) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int left = value;
    while (left > 127) {
      out.write(left & 127 | 128);
      left >>>= 7;
    }
    out.write(left);
    return out.toByteArray();
  }
}
