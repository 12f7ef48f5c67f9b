package io.heatkv.image;

import static io.heatkv.image.Chunks.chunk;
import static io.heatkv.image.Chunks.file;
import static io.heatkv.image.Chunks.join;
import static io.heatkv.image.Chunks.latin1;
import static io.heatkv.image.Chunks.zlib;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class HostilePngTest {
  private static final int MUTANTS = Integer.getInteger("heatkv.mutants", 2000);
  private static final long SEED = Long.getLong("heatkv.seed", 20260101L);
  private static final byte[] END = chunk("IEND", new byte[0]);
  private static final byte[] HEAD = join(Chunks.SIGNATURE, chunk("IHDR", new byte[13]));

  @TempDir Path folder;

  static Stream<Arguments> broken() {
    return Stream.of(
        row("empty", new byte[0], "does not start like a PNG"),
        row("signature cut", Arrays.copyOf(Chunks.SIGNATURE, 7), "does not start like a PNG"),
        row("a JPEG", latin1("\u00ff\u00d8\u00ff\u00e0 and more"), "does not start like a PNG"),
        row("line ends converted", latin1("\u0089PNG\n\u001a\n\n.."), "not start like a PNG"),
        row("signature alone", Chunks.SIGNATURE, "ends before its IEND"),
        row("cut in a length", join(HEAD, new byte[3]), "ends in the middle of a chunk"),
        row("cut in a type", join(HEAD, new byte[6]), "ends in the middle of a chunk"),
        row("no end", HEAD, "ends before its IEND"),
        row("no header", join(Chunks.SIGNATURE, END), "starts with the chunk IEND instead of IHDR"),
        row("length cut", join(HEAD, chunk(9, "IDAT", new byte[4], 0)), "9 bytes, but only 8"),
        row("no checksum", join(HEAD, new byte[4], latin1("IEND")), "IEND of 0 bytes, but only 0"),
        row("length of 2 GiB", file(chunk(0x7FFFFFFF, "tEXt", new byte[4], 0)), "2147483647 bytes"),
        row("length of 4 GiB", file(chunk(-1, "tEXt", new byte[4], 0)), "4294967295 bytes, but"),
        row("type of digits", file(chunk("1234", new byte[0])), "not four letters"),
        row(
            "type that breaks the line",
            file(chunk("a\n\u001bb", new byte[0])),
            "not four letters"),
        row("text checksum", file(chunk(3, "tEXt", latin1("a\0b"), 7)), "tEXt whose checksum is"),
        row("pixel checksum", file(chunk(3, "IDAT", new byte[3], 7)), "IDAT whose checksum is"),
        row("end checksum", join(HEAD, chunk(0, "IEND", new byte[0], 7)), "IEND whose checksum"),
        row("tEXt without keyword", file(chunk("tEXt", latin1("\0x"))), "malformed chunk tEXt"),
        row("tEXt without end", file(chunk("tEXt", latin1("keyword"))), "malformed chunk tEXt"),
        row("tEXt empty", file(chunk("tEXt", new byte[0])), "malformed chunk tEXt"),
        row("tEXt with NUL", file(chunk("tEXt", latin1("k\0a\0b"))), "malformed chunk tEXt"),
        row(
            "keyword of 80",
            file(chunk("tEXt", latin1("k".repeat(80) + "\0x"))),
            "malformed chunk"),
        row("keyword with newline", file(chunk("tEXt", latin1("a\nb\0x"))), "malformed chunk tEXt"),
        row("zTXt without method", file(chunk("zTXt", latin1("k\0"))), "malformed chunk zTXt"),
        row("zTXt method 1", file(chunk("zTXt", latin1("k\0\1x"))), "malformed chunk zTXt"),
        row(
            "zTXt no zlib",
            file(chunk("zTXt", latin1("k\0\0xxxx"))),
            "zTXt that cannot be unpacked"),
        row("zTXt empty", file(chunk("zTXt", latin1("k\0\0"))), "malformed chunk zTXt"),
        row("zTXt cut", file(packed("zTXt", "k\0\0", cut(zlib(new byte[999])))), "malformed chunk"),
        row(
            "zTXt dictionary",
            file(packed("zTXt", "k\0\0", latin1("\u0078\u00bb\0\0\0\1x"))),
            "zTXt"),
        row("zTXt bomb", file(packed("zTXt", "k\0\0", zlib(new byte[20 << 20]))), "bytes of text"),
        row(
            "iTXt bomb",
            file(packed("iTXt", "k\0\1\0\0\0", zlib(new byte[20 << 20]))),
            "more than 1000 texts or 16777216 bytes of text"),
        row(
            "bombs that share",
            file(repeat(packed("zTXt", "k\0\0", zlib(spaces(3 << 20))), 6)),
            "bytes of text"),
        row("plain text too long", file(chunk("tEXt", new byte[17 << 20])), "bytes of text"),
        row("too many texts", file(repeat(chunk("tEXt", latin1("k\0")), 1001)), "1000 texts"),
        row("iTXt keyword only", file(chunk("iTXt", latin1("k\0"))), "malformed chunk iTXt"),
        row("iTXt flag 2", file(chunk("iTXt", latin1("k\0\2\0\0\0x"))), "malformed chunk iTXt"),
        row("iTXt method 1", file(chunk("iTXt", latin1("k\0\1\1\0\0x"))), "malformed chunk iTXt"),
        row("iTXt no language end", file(chunk("iTXt", latin1("k\0\0\0en"))), "malformed chunk"),
        row(
            "iTXt one string short",
            file(chunk("iTXt", latin1("k\0\0\0en\0x"))),
            "malformed chunk"),
        row("iTXt latin-1", file(chunk("iTXt", latin1("k\0\0\0\0\0caf\u00e9"))), "not valid UTF-8"),
        row(
            "iTXt surrogate",
            file(chunk("iTXt", latin1("k\0\0\0\0\0\u00ed\u00a0\u0080"))),
            "UTF-8"),
        row("iTXt no zlib", file(chunk("iTXt", latin1("k\0\1\0\0\0xxxx"))), "cannot be unpacked"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("broken")
  void refusesInOneLine(String label, byte[] bytes, String words) throws IOException {
    Path png = Files.write(folder.resolve("a.png"), bytes);
    UserException refusal = catchThrowableOfType(UserException.class, () -> Png.readMetadata(png));
    assertThat(refusal)
        .as(label)
        .hasMessageStartingWith(png + ": ")
        .hasMessageContaining(words)
        .hasMessageNotContainingAny("\n", "\r", "\u001b");
  }

  static Stream<Arguments> malformed() {
    return broken()
        .filter(row -> ((String) row.get()[2]).matches("malformed.*|.*UTF-8|.*unpacked"));
  }

  /** A text that can't be read hides no other, before it or behind it. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("malformed")
  void soundTextsSurviveAMalformedOne(String label, byte[] bytes, String words) throws IOException {
    byte[] text = Arrays.copyOfRange(bytes, HEAD.length, bytes.length - END.length);
    Path png =
        Files.write(
            folder.resolve("a.png"),
            file(chunk("tEXt", latin1("a\0first")), text, chunk("tEXt", latin1("b\0last"))));
    List<UserException> problems = new ArrayList<>();
    assertThat(Png.readMetadata(png, problems::add))
        .as(label)
        .containsExactly(new PngText("a", "first"), new PngText("b", "last"));
    assertThat(problems).hasSize(1);
    assertThat(problems.getFirst()).hasMessageContaining(words);
  }

  @Test
  void readsEveryKindOfText() throws IOException {
    byte[] utf8 = "\u96EA \uD83E\uDD8A".getBytes(StandardCharsets.UTF_8);
    Path png =
        Files.write(
            folder.resolve("a.png"),
            join(
                file(
                    chunk("tEXt", latin1("a b\0plain\r\n\u00ff")),
                    packed("zTXt", "packed\0\0", zlib(spaces(100_000))),
                    chunk("IDAT", new byte[50_000]),
                    packed("iTXt", "plain\0\0\0en-US\0Klartext\0", utf8),
                    packed("iTXt", "packed\0\1\0\0\0", zlib(utf8)),
                    chunk("tEXt", latin1("empty\0")),
                    chunk("zzZz", latin1("private"))),
                latin1("bytes behind the end belong to nobody")));
    assertThat(Png.readMetadata(png))
        .containsExactly(
            new PngText("a b", "plain\r\n\u00ff"),
            new PngText("packed", " ".repeat(100_000)),
            new PngText("plain", "\u96EA \uD83E\uDD8A"),
            new PngText("packed", "\u96EA \uD83E\uDD8A"),
            new PngText("empty", ""));
  }

  /** 1000 texts, and 16 MiB of text, packed and unpacked counted. */
  @Test
  void theMostIsRead() throws IOException {
    Path png =
        Files.write(folder.resolve("a.png"), file(repeat(chunk("tEXt", latin1("k\0")), 1000)));
    assertThat(Png.readMetadata(png)).hasSize(1000);
    byte[] text = spaces(16 << 20);
    text[0] = 'k';
    text[1] = 0;
    Files.write(png, file(chunk("tEXt", text)));
    assertThat(Png.readMetadata(png).getFirst().text()).hasSize((16 << 20) - 2);
    Files.write(png, file(chunk("tEXt", text), chunk("tEXt", latin1("k\0"))));
    assertRefused(png, "16777216 bytes of text");
    byte[] zip = zlib(spaces(16 << 20));
    int rest = (16 << 20) - zip.length - "k\0\0".length();
    Files.write(png, file(packed("zTXt", "k\0\0", zlib(spaces(rest - 100)))));
    assertThat(Png.readMetadata(png).getFirst().text()).hasSize(rest - 100);
    Files.write(png, file(packed("zTXt", "k\0\0", zip)));
    assertRefused(png, "16777216 bytes of text");
    String keyword = "k".repeat(79);
    Files.write(png, file(chunk("tEXt", latin1(keyword + "\0x"))));
    assertThat(Png.readMetadata(png)).containsExactly(new PngText(keyword, "x"));
  }

  @Test
  void refusesWhatIsNoFile() {
    assertRefused(folder, "is a folder; expected a PNG file");
    assertRefused(folder.resolve("none.png"), "cannot be read: no such file or folder");
    assertRefused(Path.of("/dev/zero"), "is not a regular file; expected a PNG file");
  }

  /** Run longer with {@code -Dheatkv.mutants=1000000}. */
  @Test
  void everyMutantIsReadOrRefused() throws IOException {
    PngImage image = new PngImage(2, 2, new byte[12]);
    byte[] original =
        join(
            Arrays.copyOf(Png.encode(image, List.of()), 33),
            packed("zTXt", "z\0\0", zlib(spaces(300))),
            packed("iTXt", "i\0\1\0\0\0", zlib(spaces(300))),
            END);
    Path png = folder.resolve("mutant.png");
    int read = 0;
    for (int i = 0; i < MUTANTS; i++) {
      long seed = SEED + i;
      Files.write(png, mutate(original, new SplittableRandom(seed)));
      try {
        assertThat(Png.readMetadata(png)).as("seed %d", seed).hasSizeLessThanOrEqualTo(3);
        read++;
      } catch (UserException refusal) {
        assertThat(refusal.getMessage())
            .as("seed %d", seed)
            .startsWith(png + ": ")
            .doesNotContainPattern("\\p{Cntrl}");
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed, e);
      }
    }
    assertThat(read).isBetween(MUTANTS / 100, MUTANTS * 9 / 10);
  }

  /** Damages a byte or two of one chunk's data, and mostly mends the checksum behind it. */
  private static byte[] mutate(byte[] original, SplittableRandom random) {
    byte[] mutant = original.clone();
    if (random.nextInt(4) > 0) {
      List<Chunks.Chunk> chunks = Chunks.parse(original);
      byte[][] pieces = new byte[chunks.size()][];
      int victim = 1 + random.nextInt(chunks.size() - 2);
      for (int i = 0; i < pieces.length; i++) {
        byte[] data = chunks.get(i).data().clone();
        for (int edits = random.nextInt(3); i == victim && edits > 0; edits--) {
          data[random.nextInt(data.length)] = (byte) random.nextInt(256);
        }
        byte[] kept =
            i == victim && random.nextInt(4) == 0
                ? Arrays.copyOf(data, random.nextInt(data.length))
                : data;
        pieces[i] = chunk(chunks.get(i).type(), kept);
      }
      mutant = join(Chunks.SIGNATURE, join(pieces));
    } else {
      mutant[random.nextInt(mutant.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return random.nextInt(12) == 0 ? Arrays.copyOf(mutant, random.nextInt(mutant.length)) : mutant;
  }

  private static void assertRefused(Path file, String words) {
    assertThat(catchThrowableOfType(UserException.class, () -> Png.readMetadata(file)))
        .hasMessageStartingWith(file + ": ")
        .hasMessageContaining(words);
  }

  private static Arguments row(String label, byte[] bytes, String words) {
    return Arguments.of(label, bytes, words);
  }

  private static byte[] packed(String type, String head, byte[] tail) {
    return chunk(type, join(latin1(head), tail));
  }

  private static byte[] cut(byte[] bytes) {
    return Arrays.copyOf(bytes, bytes.length - 5);
  }

  private static byte[] spaces(int count) {
    byte[] bytes = new byte[count];
    Arrays.fill(bytes, (byte) ' ');
    return bytes;
  }

  private static byte[] repeat(byte[] piece, int count) {
    return join(Collections.nCopies(count, piece).toArray(byte[][]::new));
  }
}
