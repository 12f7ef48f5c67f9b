package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.image.PngImage;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SheetTest {
  private static final int WHITE = 0xFFFFFF;

  private static PngImage plain(int width, int height, int level) {
    byte[] rgb = new byte[3 * width * height];
    java.util.Arrays.fill(rgb, (byte) level);
    rgb[0] = 1;
    return new PngImage(width, height, rgb);
  }

  private static int pixel(PngImage image, byte[] rgb, int x, int y) {
    int at = 3 * (y * image.width() + x);
    return (rgb[at] & 0xFF) << 16 | (rgb[at + 1] & 0xFF) << 8 | rgb[at + 2] & 0xFF;
  }

  /** Margins of a sixteenth of a picture stay white; captions stay below their own picture. */
  @ParameterizedTest
  @CsvSource({"256, 256, 1, 1", "256, 256, 5, 1", "64, 96, 7, 4", "600, 300, 3, 1", "1, 1, 2, 256"})
  void everyPictureStandsAboveItsOwnCaption(int width, int height, int count, int factor) {
    List<Sheet.Tile> tiles = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      tiles.add(
          new Sheet.Tile(
              plain(width, height, 100 + i),
              "a heading that is far too long for the width of a single picture",
              List.of("KV 1.7 MiB", "a line that is far too long for the width of one picture")));
    }
    PngImage sheet = new Sheet("title ".repeat(200), tiles).draw();
    byte[] rgb = sheet.rgb();
    int shown = width * factor;
    int gap = shown / 16;
    int columns = Math.min(count, 5);
    assertThat(sheet.width()).isEqualTo(gap + columns * (shown + gap));
    for (int y = 0; y < sheet.height(); y++) {
      for (int column = 0; column <= columns; column++) {
        int middle = column * (shown + gap) + gap / 2;
        if (y > 3 * gap + gap || column == 0 || column == columns) {
          assertThat(pixel(sheet, rgb, middle, y)).as("%s, %s", middle, y).isEqualTo(WHITE);
        }
      }
    }
    int top = -1;
    for (int y = 0; y < sheet.height() && top < 0; y++) {
      top = pixel(sheet, rgb, gap, y) == 0x016464 ? y : -1;
    }
    assertThat(top).isPositive();
    assertThat(pixel(sheet, rgb, gap + shown - 1, top + height * factor - 1))
        .isEqualTo(width == 1 ? 0x016464 : 0x646464);
    boolean ink = false;
    for (int y = top + height * factor + 2; y < top + height * factor + 2 * gap; y++) {
      for (int x = gap; x < gap + shown; x++) {
        ink |= (pixel(sheet, rgb, x, y) & 0xFF) < 0x60;
      }
    }
    assertThat(ink).isTrue();
  }

  @Test
  void picturesOfOneSizeOnly() {
    Sheet.Tile one = new Sheet.Tile(plain(8, 8, 1), "a", List.of());
    Sheet.Tile other = new Sheet.Tile(plain(8, 9, 1), "b", List.of());
    assertThatThrownBy(() -> new Sheet("", List.of(one, other)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Sheet("", List.of())).isInstanceOf(IllegalArgumentException.class);
  }

  /** Advances from the horizontal metrics of Roboto Regular. */
  @Test
  void lettersHaveTheFontsWidths() {
    Lettering letters = new Lettering();
    assertThat(letters.width("A", 2048)).isEqualTo(1336);
    assertThat(letters.width("BAB", 1024)).isCloseTo((1275 * 2 + 1336) / 2.0, within(1e-9));
    assertThat(letters.knows('é')).isTrue();
    assertThat(letters.knows('∞')).isTrue();
    assertThat(letters.knows('猫')).isFalse();
    assertThat(letters.width("猫", 10)).isEqualTo(letters.width("?", 10));
    String fitted = letters.fitting("a very long text", 10, 40);
    assertThat(fitted).startsWith("a").endsWith("…");
    assertThat(letters.width(fitted, 10)).isLessThanOrEqualTo(40);
    assertThat(letters.fitting("short", 10, 40)).isEqualTo("short");
  }
}
