package io.heatkv.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import io.heatkv.image.Chunks.Chunk;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PngTest {
  private static final String EMOJI = "a fox \uD83E\uDD8A in \u96EA,\nSteps: 13";
  private static final PngImage DOT = new PngImage(1, 1, new byte[] {1, 2, 3});

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void decodesToTheSamePixels(long seed) throws IOException {
    Random random = new Random(seed);
    int width = 1 + random.nextInt(70);
    int height = 1 + random.nextInt(70);
    byte[] rgb = new byte[3 * width * height];
    random.nextBytes(rgb);
    // Flat areas make the encoder choose other filters than noise does.
    for (int i = random.nextInt(rgb.length); i < rgb.length; i++) {
      rgb[i] = (byte) (i / 50);
    }
    PngImage image = new PngImage(width, height, rgb);
    byte[] png = Png.encode(image, List.of(PngText.parameters(EMOJI), PngText.heatkv("{}")));
    assertThat(PngImage.of(decoded(png, width, height)).rgb()).as("seed %d", seed).isEqualTo(rgb);
  }

  /**
   * Contents that are filtered and coded differently, over several parts that are compressed side
   * by side; a row longer than such a part, and a column.
   */
  @ParameterizedTest
  @CsvSource({
    "flat, 600, 500", "noise, 600, 500", "faint noise, 600, 500", "gradient, 600, 500",
    "stripes, 600, 500", "half noise, 600, 500", "noise, 300000, 2", "half noise, 1, 300000",
    "flat, 1, 1", "noise, 16383, 16", "noise, 87381, 1", "noise, 87382, 1"
  })
  void anyContentIsKept(String content, int width, int height) throws IOException {
    byte[] rgb = pixels(content, width, height);
    PngImage image = new PngImage(width, height, rgb);
    byte[] png = Png.encode(image, List.of());
    assertThat(PngImage.of(decoded(png, width, height)).rgb()).isEqualTo(rgb);
    try (ForkJoinPool one = new ForkJoinPool(1);
        ForkJoinPool many = new ForkJoinPool(7)) {
      assertThat(one.submit(() -> Png.encode(image, List.of())).join()).isEqualTo(png);
      assertThat(many.submit(() -> Png.encode(image, List.of())).join()).isEqualTo(png);
    }
  }

  /** ImageIO's writer at its usual level is the measure. */
  @ParameterizedTest
  @ValueSource(strings = {"flat", "noise", "faint noise", "gradient", "stripes", "half noise"})
  void filesAreAsSmallAsOthers(String content) throws IOException {
    PngImage image = new PngImage(600, 500, pixels(content, 600, 500));
    ByteArrayOutputStream other = new ByteArrayOutputStream();
    ImageIO.write(image.toBufferedImage(), "png", other);
    assertThat(Png.encode(image, List.of())).hasSizeLessThan(other.size() * 11 / 10);
  }

  private static byte[] pixels(String content, int width, int height) {
    Random random = new Random(1);
    byte[] rgb = new byte[3 * width * height];
    for (int i = 0; i < rgb.length; i++) {
      int x = i / 3 % width;
      int y = i / 3 / width;
      rgb[i] =
          (byte)
              switch (content) {
                case "flat" -> 200;
                case "noise" -> random.nextInt();
                case "faint noise" -> 100 + y / 5 + 2 * random.nextGaussian();
                case "gradient" -> x / 3 + y / 4;
                case "stripes" -> (x * 7 + y * 3) % 11 < 4 ? 10 : 250;
                case "half noise" -> y < height / 2 ? random.nextInt() : x / 9;
                default -> throw new IllegalArgumentException(content);
              };
    }
    return rgb;
  }

  private static BufferedImage decoded(byte[] png, int width, int height) throws IOException {
    BufferedImage decoded = ImageIO.read(new ByteArrayInputStream(png));
    assertThat(decoded.getWidth()).isEqualTo(width);
    assertThat(decoded.getHeight()).isEqualTo(height);
    return decoded;
  }

  @Test
  void headerSaysEightBitRgb() {
    byte[] png = Png.encode(new PngImage(3, 2, new byte[18]), List.of());
    List<Chunk> chunks = Chunks.parse(png);
    assertThat(chunks).extracting(Chunk::type).containsExactly("IHDR", "IDAT", "IEND");
    assertThat(chunks.getFirst().data())
        .isEqualTo(
            ByteBuffer.allocate(13).putInt(3).putInt(2).put(new byte[] {8, 2, 0, 0, 0}).array());
  }

  @Test
  void textsLieBeforeThePixels() {
    byte[] png =
        Png.encode(
            DOT, List.of(PngText.parameters("caf\u00e9\nSeed: 1"), PngText.heatkv("{\"seed\":1}")));
    List<Chunk> chunks = Chunks.parse(png);
    assertThat(chunks)
        .extracting(Chunk::type)
        .containsExactly("IHDR", "tEXt", "iTXt", "IDAT", "IEND");
    assertThat(chunks.get(1).data()).isEqualTo(Chunks.latin1("parameters\0caf\u00e9\nSeed: 1"));
    assertThat(chunks.get(2).data()).isEqualTo(Chunks.latin1("heatkv\0\0\0\0\0{\"seed\":1}"));
  }

  @ParameterizedTest
  @ValueSource(strings = {EMOJI, "\u20AC", "a\tb", "a\u00a0b", "a\u0085b", "\u0152"})
  void textBeyondPrintableLatin1IsInternational(String text) {
    List<Chunk> chunks = Chunks.parse(Png.encode(DOT, List.of(PngText.parameters(text))));
    assertThat(chunks.get(1).type()).isEqualTo("iTXt");
    assertThat(chunks.get(1).data())
        .isEqualTo(
            Chunks.join(
                Chunks.latin1("parameters\0\0\0\0\0"), text.getBytes(StandardCharsets.UTF_8)));
  }

  /** The ends of both ranges of printable Latin-1, with line feeds; and the longest keyword. */
  @Test
  void printableLatin1IsPlain() {
    String text = " ~\n\u00a1\u00ff";
    String keyword = "\u00a1".repeat(78) + "~";
    List<Chunk> chunks = Chunks.parse(Png.encode(DOT, List.of(new PngText(keyword, text))));
    assertThat(chunks.get(1).type()).isEqualTo("tEXt");
    assertThat(chunks.get(1).data()).isEqualTo(Chunks.latin1(keyword + "\0" + text));
  }

  @Test
  void textsComeBackAsTheyWere() {
    Random random = new Random(42);
    StringBuilder prompt = new StringBuilder();
    while (prompt.length() < 100_000) {
      int point = 1 + random.nextInt(0x1F9FF);
      prompt.appendCodePoint(point >= 0xD800 && point <= 0xDFFF ? '\n' : point);
    }
    List<PngText> texts =
        List.of(
            PngText.parameters(prompt.toString()),
            PngText.heatkv("{\"prompt\":\"" + EMOJI + "\"}"),
            new PngText("Comment", ""),
            new PngText("parameters", "l\u00e0 \u00ff ~\n".repeat(20_000)));
    Path file = folder.resolve("a.png");
    Png.write(file, DOT, texts);
    assertThat(Png.readMetadata(file)).isEqualTo(texts);
  }

  @Test
  void refusesTextThatPngCannotHold() {
    for (String text : List.of("a\0b", "\uD83E", "\uDD8A\uD83E")) {
      assertThat(catchThrowableOfType(UserException.class, () -> PngText.parameters(text)))
          .hasMessageContaining("PNG text 'parameters': holds a NUL or half a surrogate pair");
    }
    for (String keyword :
        List.of("", "k".repeat(80), "\u20AC", "a\nb", "a\0b", "\u00a0", "\u007f")) {
      assertThatThrownBy(() -> new PngText(keyword, "x"))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void refusesBytesThatAreNoPicture() {
    for (int[] size : new int[][] {{0, 1}, {1, 0}, {-1, -1}, {1, 2}, {1 << 16, 1 << 16}}) {
      assertThatThrownBy(() -> new PngImage(size[0], size[1], new byte[3]))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void writesOverAFileAndLeavesNothingElse() throws IOException {
    Path file = folder.resolve("a.png");
    Files.write(file, new byte[] {1});
    Png.write(file, DOT, List.of());
    assertThat(Files.readAllBytes(file)).isEqualTo(Png.encode(DOT, List.of()));
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactly(file);
    }
  }

  @Test
  void writesIntoTheWorkingFolder() throws IOException {
    Path bare = Path.of("heatkv-png-test-bare-name.png");
    try {
      Png.write(bare, DOT, List.of());
      assertThat(Png.readMetadata(bare)).isEmpty();
    } finally {
      Files.deleteIfExists(bare);
    }
  }

  @Test
  void refusesTargetsThatCannotBe() throws IOException {
    Path file = Files.write(folder.resolve("file"), new byte[] {1});
    assertRefused(folder, "is a folder; expected the name of a file");
    assertRefused(folder.resolve("none").resolve("a.png"), "its folder does not exist");
    assertRefused(file.resolve("a.png"), "its folder does not exist");
    assertRefused(folder.resolve("n".repeat(300)), "cannot be written: ");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactly(file);
    }
  }

  private static void assertRefused(Path target, String words) {
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Png.write(target, DOT, List.of()));
    assertThat(refusal)
        .hasMessageStartingWith(target + ": ")
        .hasMessageContaining(words)
        .hasMessageNotContaining("\n");
  }
}
