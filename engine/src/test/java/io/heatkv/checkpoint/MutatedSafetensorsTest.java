package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Thousands of damaged files: each opens soundly or is refused in one line. Run longer with {@code
 * -Dheatkv.mutants=1000000}, elsewhere with {@code -Dheatkv.seed=7}.
 */
class MutatedSafetensorsTest {
  private static final int MUTANTS = Integer.getInteger("heatkv.mutants", 4000);
  private static final long SEED = Long.getLong("heatkv.seed", 20260101L);
  private static final List<String> TOKENS =
      List.of(
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          "\"",
          "0",
          "-1",
          "9223372036854775807",
          "1e9",
          "null",
          "true",
          "\\ud800",
          "\\u0000",
          "\"a\"",
          "\"dtype\"",
          "\"BF16\"",
          "\"F64\"",
          "[0,0]",
          "__metadata__",
          "\u2028",
          "{\"",
          "},",
          "[[[[[[[[",
          "8",
          " ");

  @Test
  void everyMutantOpensOrIsRefused(@TempDir Path folder) {
    byte[] seedFile =
        TestFiles.safetensors(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                + "\"b.c\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
                + "\"e\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]},"
                + "\"z\":{\"dtype\":\"U8\",\"shape\":[0,9],\"data_offsets\":[40,40]}}",
            40);
    byte[] index =
        ("{\"metadata\":{\"total_size\":40},"
                + "\"weight_map\":{\"a\":\"s\",\"b.c\":\"s\",\"e\":\"s\",\"z\":\"s\"}}")
            .getBytes(StandardCharsets.UTF_8);
    TestFiles.write(folder.resolve("s"), seedFile);
    int opened = 0;
    for (int i = 0; i < MUTANTS; i++) {
      SplittableRandom random = new SplittableRandom(SEED + i);
      byte[] original = random.nextInt(4) == 0 ? index : seedFile;
      byte[] mutant = mutate(original, random);
      opened += opens(TestFiles.write(folder.resolve("mutant"), mutant), SEED + i) ? 1 : 0;
    }
    // Both outcomes must occur, or the mutations are too tame or too wild to test anything.
    assertThat(opened).isBetween(MUTANTS / 200, MUTANTS / 2);
  }

  private static boolean opens(Path file, long seed) {
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      for (String name : checkpoint.names()) {
        TensorEntry entry = checkpoint.entry(name);
        assertThat(entry.bytes().byteSize())
            .as("seed %d", seed)
            .isEqualTo(
                entry.dtype().byteSize() * Arrays.stream(entry.shape()).reduce(1, (a, b) -> a * b));
        touch(entry.bytes());
      }
      assertThat(Fingerprint.of(checkpoint)).hasSize(64);
      return true;
    } catch (UserException refusal) {
      assertThat(refusal.getMessage())
          .as("seed %d", seed)
          .startsWith(file.getParent().toString())
          .doesNotContainPattern("[\\p{Cntrl}\\u2028\\u2029]");
      return false;
    } catch (RuntimeException | Error e) {
      throw new AssertionError("seed " + seed, e);
    }
  }

  private static void touch(MemorySegment bytes) {
    if (bytes.byteSize() > 0) {
      assertThat(bytes.get(ValueLayout.JAVA_BYTE, 0)).isZero();
      assertThat(bytes.get(ValueLayout.JAVA_BYTE, bytes.byteSize() - 1)).isZero();
    }
  }

  /** One to three edits of the header; the length prefix is mostly mended, the data stays zero. */
  private static byte[] mutate(byte[] original, SplittableRandom random) {
    boolean prefixed = original[0] != '{';
    int start = prefixed ? 8 : 0;
    int end =
        prefixed
            ? 8 + ByteBuffer.wrap(original).order(ByteOrder.LITTLE_ENDIAN).getInt(0)
            : original.length;
    byte[] header = Arrays.copyOfRange(original, start, end);
    int edits = 1 + random.nextInt(3);
    for (int i = 0; i < edits; i++) {
      header = edit(header, random);
    }
    if (!prefixed) {
      return header;
    }
    int data = original.length - end;
    int kept = random.nextInt(10) == 0 ? random.nextInt(2 * data) : data;
    long length = random.nextInt(10) == 0 ? lie(header.length, random) : header.length;
    byte[] mutant = TestFiles.declaring(length, header, kept);
    return random.nextInt(20) == 0 ? Arrays.copyOf(mutant, random.nextInt(mutant.length)) : mutant;
  }

  private static long lie(int length, SplittableRandom random) {
    return random.nextBoolean() ? length + random.nextInt(-9, 9) : random.nextLong();
  }

  private static byte[] edit(byte[] header, SplittableRandom random) {
    if (header.length == 0) {
      return header;
    }
    int at = random.nextInt(header.length);
    return switch (random.nextInt(6)) {
      case 0 -> splice(header, at, 1, new byte[] {(byte) random.nextInt(256)});
      case 1 -> splice(header, at, 1, new byte[] {(byte) (header[at] ^ (1 << random.nextInt(8)))});
      case 2 -> splice(header, at, 1 + random.nextInt(12), new byte[0]);
      case 3 -> {
        String token = TOKENS.get(random.nextInt(TOKENS.size()));
        yield splice(header, at, random.nextInt(4), token.getBytes(StandardCharsets.UTF_8));
      }
      case 4 -> {
        int from = random.nextInt(header.length);
        int to = Math.min(header.length, from + random.nextInt(60));
        yield splice(header, at, 0, Arrays.copyOfRange(header, from, to));
      }
      default ->
          splice(
              header,
              header.length,
              0,
              " ".repeat(random.nextInt(9)).getBytes(StandardCharsets.UTF_8));
    };
  }

  private static byte[] splice(byte[] bytes, int at, int remove, byte[] insert) {
    int tail = Math.min(bytes.length, at + remove);
    return ByteBuffer.allocate(at + insert.length + bytes.length - tail)
        .put(bytes, 0, at)
        .put(insert)
        .put(bytes, tail, bytes.length - tail)
        .array();
  }
}
