package io.heatkv.eval;

import io.heatkv.image.PngImage;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.List;

/**
 * Pictures of one size side by side, each above its caption, in one picture.
 *
 * @param title line above all
 * @param tiles at least one
 */
public record Sheet(String title, List<Tile> tiles) {
  /**
   * One picture.
   *
   * @param picture of the same size as all others
   * @param heading first line of the caption
   * @param lines further lines
   */
  public record Tile(PngImage picture, String heading, List<String> lines) {
    public Tile {
      lines = List.copyOf(lines);
    }
  }

  private static final int MOST_COLUMNS = 5;
  // Smaller pictures are enlarged, so that captions fit below them.
  private static final int LEAST_WIDTH = 256;
  private static final Color INK = new Color(0x20, 0x20, 0x20);
  private static final Color GREY = new Color(0x60, 0x60, 0x60);
  private static final Color FRAME = new Color(0xd0, 0xd0, 0xd0);

  public Sheet {
    tiles = List.copyOf(tiles);
    if (tiles.isEmpty()) {
      throw new IllegalArgumentException("a sheet needs a picture");
    }
    PngImage first = tiles.getFirst().picture();
    tiles.forEach(tile -> SameSize.check(first, tile.picture()));
  }

  /** Lengths in pixels. */
  private record Layout(
      int columns, int rows, int factor, int width, int height, int text, int gap, int lines) {
    static Layout of(List<Tile> tiles) {
      PngImage picture = tiles.getFirst().picture();
      int factor = Math.max(1, Math.ceilDiv(LEAST_WIDTH, picture.width()));
      int columns = Math.min(tiles.size(), MOST_COLUMNS);
      int width = picture.width() * factor;
      return new Layout(
          columns,
          Math.ceilDiv(tiles.size(), columns),
          factor,
          width,
          picture.height() * factor,
          width / 16,
          width / 16,
          tiles.stream().mapToInt(tile -> tile.lines().size()).max().orElse(0));
    }

    int lineHeight() {
      return text * 3 / 2;
    }

    int titleHeight() {
      return 2 * lineHeight();
    }

    int tileHeight() {
      return height + lineHeight() * (lines + 1) + text + gap;
    }

    int x(int column) {
      return gap + column * (width + gap);
    }

    int y(int row) {
      return gap + titleHeight() + row * tileHeight();
    }
  }

  /** Draws the sheet. */
  public PngImage draw() {
    Layout layout = Layout.of(tiles);
    BufferedImage image =
        new BufferedImage(
            layout.x(layout.columns()), layout.y(layout.rows()), BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = image.createGraphics();
    try {
      graphics.setColor(Color.WHITE);
      graphics.fillRect(0, 0, image.getWidth(), image.getHeight());
      graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
      Lettering letters = new Lettering();
      double titleSize = layout.text() * 1.25;
      graphics.setColor(INK);
      letters.draw(
          graphics,
          letters.fitting(title, titleSize, image.getWidth() - 2.0 * layout.gap()),
          layout.gap(),
          layout.gap() + titleSize,
          titleSize);
      for (int i = 0; i < tiles.size(); i++) {
        draw(graphics, letters, layout, tiles.get(i), i);
      }
    } finally {
      graphics.dispose();
    }
    return PngImage.of(image);
  }

  private static void draw(
      Graphics2D graphics, Lettering letters, Layout layout, Tile tile, int index) {
    int x = layout.x(index % layout.columns());
    int y = layout.y(index / layout.columns());
    // Whole factors and nearest neighbours: what is shown is what was drawn.
    graphics.drawImage(
        tile.picture().toBufferedImage(), x, y, layout.width(), layout.height(), null);
    graphics.setColor(FRAME);
    graphics.drawRect(x - 1, y - 1, layout.width() + 1, layout.height() + 1);
    double baseline = y + layout.height() + layout.text() * 1.5;
    graphics.setColor(INK);
    caption(graphics, letters, layout, tile.heading(), x, baseline, layout.text() * 1.1);
    graphics.setColor(GREY);
    for (String line : tile.lines()) {
      baseline += layout.lineHeight();
      caption(graphics, letters, layout, line, x, baseline, layout.text());
    }
  }

  private static void caption(
      Graphics2D graphics,
      Lettering letters,
      Layout layout,
      String text,
      double x,
      double baseline,
      double size) {
    letters.draw(graphics, letters.fitting(text, size, layout.width()), x, baseline, size);
  }
}
