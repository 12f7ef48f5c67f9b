package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Damages files of every format and checks that each mutant opens soundly or is refused in one line
 * that names the file; anything else fails with the mutant's seed.
 */
final class Mutants {
  private static final Path FILE = Path.of("mutant.pth");
  private static final long[] NUMBERS = {
    0,
    1,
    -1,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fffffffL,
    0x80000000L,
    0xffffffffL,
    1L << 40,
    Long.MAX_VALUE,
    Long.MIN_VALUE
  };
  private static final List<String> TOKENS =
      List.of(
          "PK\1\2",
          "PK\3\4",
          "PK\5\6",
          "PK\6\6",
          "PK\6\7",
          "PK\7\10",
          "cos\nsystem\n",
          "ctorch\nSize\n",
          "ctorch\nFloatStorage\n",
          "ctorch._utils\n_rebuild_tensor_v2\n",
          "(",
          ")",
          "t",
          "R",
          "Q",
          "}",
          "]",
          "s",
          "u",
          "a",
          "e",
          "q\0",
          "h\0",
          "h\5",
          "r\0\0\0\0",
          "X\3\0\0\0abc",
          "\u0085",
          "\u0086",
          "\u0087",
          "\u0093",
          "\u0094",
          "\u0095",
          "\u008a\10",
          "\u008b",
          "\u0088",
          "N",
          ".",
          "\u0080\2",
          "K\0",
          "K\1",
          "J\u00ff\u00ff\u00ff\u00ff",
          "\"",
          "{",
          "[[[[",
          "9223372036854775807",
          "-1",
          ",",
          "\"dtype\"",
          "\"F64\"",
          "m/data/0",
          "..",
          "/");

  private static final Map<String, byte[]> SEEDS = new ConcurrentHashMap<>();

  private Mutants() {}

  /** The formats: how a seed file is damaged, and in what it is wrapped then. */
  enum Kind {
    SAFETENSORS,
    ZIP,
    PICKLE,
    LEGACY;

    byte[] mutate(SplittableRandom random) {
      return switch (this) {
        case SAFETENSORS -> header(seed("small.safetensors"), random);
        case ZIP ->
            edits(seed(random.nextBoolean() ? "small_no_checksums.pth" : "views.pth"), random);
        case PICKLE ->
            ZipBytes.torch(edits(pickle(random), random), 24).add("m/data/1", new byte[24]).bytes();
        case LEGACY ->
            edits(seed(random.nextBoolean() ? "wrapped_legacy.pth" : "views_legacy.pth"), random);
      };
    }
  }

  /** Runs that many mutants; the number of those that opened. */
  static int run(Kind kind, int count, long firstSeed) {
    int opened = 0;
    for (int i = 0; i < count; i++) {
      long seed = firstSeed + i;
      opened += opens(kind.mutate(new SplittableRandom(seed)), kind + " seed " + seed) ? 1 : 0;
    }
    return opened;
  }

  private static boolean opens(byte[] bytes, String label) {
    try (Arena arena = Arena.ofConfined()) {
      ModelFile file = ModelFile.read(FILE, MemorySegment.ofArray(bytes).asReadOnly(), arena);
      for (TensorEntry entry : file.entries().values()) {
        assertThat(entry.bytes().byteSize())
            .as(label)
            .isEqualTo(
                Arrays.stream(entry.shape()).reduce(entry.dtype().byteSize(), Math::multiplyExact));
        if (entry.bytes().byteSize() > 0) {
          int unused = entry.bytes().get(ValueLayout.JAVA_BYTE, entry.bytes().byteSize() - 1);
          assertThat(unused).isBetween(-128, 127);
        }
      }
      return true;
    } catch (UserException refusal) {
      assertThat(refusal.getMessage())
          .as(label)
          .startsWith("mutant.pth: ")
          .hasSizeLessThan(1500)
          .doesNotContainPattern("[\\p{Cntrl}\\u2028\\u2029]");
      return false;
    } catch (RuntimeException | Error e) {
      throw new AssertionError(label, e);
    }
  }

  /** A pickle of PyTorch's, or one over two storages. */
  private static byte[] pickle(SplittableRandom random) {
    return switch (random.nextInt(3)) {
      case 0 -> PickleBytes.tensor(6, 0, new long[] {2, 3}, new long[] {3, 1});
      case 1 -> PickleBytes.tensor(6, 1, new long[] {2, 2}, new long[] {1, 2});
      default ->
          PickleBytes.of(p ->
              p.raw('}', 'q', 0, '(')
                  .text("a")
                  .tensor("FloatStorage", "0", 6, 0, new long[] {6}, new long[] {1})
                  .text("b")
                  .tensor("LongStorage", "1", 3, 0, new long[] {3, 4}, new long[] {1, 0})
                  .raw('u'));
    };
  }

  private static byte[] header(byte[] file, SplittableRandom random) {
    ByteBuffer buffer = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int end = 8 + (int) buffer.getLong();
    byte[] header = edits(Arrays.copyOfRange(file, 8, end), random);
    long length = random.nextInt(10) == 0 ? number(random) : header.length;
    byte[] whole = TestFiles.declaring(length, header, file.length - end);
    return random.nextInt(20) == 0 ? edits(whole, random) : whole;
  }

  private static byte[] edits(byte[] bytes, SplittableRandom random) {
    int count = 1 + random.nextInt(3);
    for (int i = 0; i < count && bytes.length > 0; i++) {
      bytes = edit(bytes, random);
    }
    return bytes;
  }

  private static byte[] edit(byte[] bytes, SplittableRandom random) {
    int at = random.nextInt(bytes.length);
    return switch (random.nextInt(10)) {
      case 0, 1 -> splice(bytes, at, 1, new byte[] {(byte) random.nextInt(256)});
      case 2, 3 -> splice(bytes, at, 1, new byte[] {(byte) (bytes[at] ^ (1 << random.nextInt(8)))});
      case 4 -> splice(bytes, at, 1 + random.nextInt(12), new byte[0]);
      case 5, 6 -> {
        byte[] token =
            TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.ISO_8859_1);
        yield splice(bytes, at, random.nextBoolean() ? token.length : 0, token);
      }
      case 7 -> {
        byte[] number =
            ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number(random)).array();
        int width = 1 << random.nextInt(4);
        yield splice(bytes, at, width, Arrays.copyOf(number, width));
      }
      case 8 -> {
        int from = random.nextInt(bytes.length);
        int to = Math.min(bytes.length, from + random.nextInt(80));
        yield splice(
            bytes, at, random.nextBoolean() ? to - from : 0, Arrays.copyOfRange(bytes, from, to));
      }
      default -> random.nextInt(4) == 0 ? Arrays.copyOf(bytes, at) : bytes;
    };
  }

  private static long number(SplittableRandom random) {
    return NUMBERS[random.nextInt(NUMBERS.length)] + random.nextInt(-1, 2);
  }

  private static byte[] splice(byte[] bytes, int at, int remove, byte[] insert) {
    int tail = Math.min(bytes.length, at + remove);
    return ByteBuffer.allocate(at + insert.length + bytes.length - tail)
        .put(bytes, 0, at)
        .put(insert)
        .put(bytes, tail, bytes.length - tail)
        .array();
  }

  private static byte[] seed(String name) {
    return SEEDS.computeIfAbsent(name, Mutants::read);
  }

  private static byte[] read(String name) {
    try {
      return Files.readAllBytes(TestFiles.fixture(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
