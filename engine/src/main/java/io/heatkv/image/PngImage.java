package io.heatkv.image;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;

/**
 * An 8-bit RGB picture.
 *
 * @param width pixels a row, at least 1
 * @param height rows, at least 1
 * @param rgb {@code [height, width, 3]}, row-major from the top left
 */
public record PngImage(int width, int height, byte[] rgb) {
  /**
   * Checks and copies.
   *
   * @throws IllegalArgumentException if a side is not positive or the bytes do not fit
   */
  public PngImage {
    if (width < 1 || height < 1 || rgb.length != 3L * width * height) {
      throw new IllegalArgumentException(
          rgb.length + " bytes are no picture of " + width + "x" + height + " RGB pixels");
    }
    rgb = rgb.clone();
  }

  /** The colours of any buffered image; transparency is dropped. */
  public static PngImage of(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    int[] row = new int[width];
    int at = 0;
    for (int y = 0; y < height; y++) {
      image.getRGB(0, y, width, 1, row, 0, width);
      for (int pixel : row) {
        rgb[at++] = (byte) (pixel >> 16);
        rgb[at++] = (byte) (pixel >> 8);
        rgb[at++] = (byte) pixel;
      }
    }
    return new PngImage(width, height, rgb);
  }

  @Override
  public byte[] rgb() {
    return rgb.clone();
  }

  /** A copy as Java's imaging classes want it, of type {@link BufferedImage#TYPE_3BYTE_BGR}. */
  public BufferedImage toBufferedImage() {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
    byte[] bgr = ((DataBufferByte) image.getRaster().getDataBuffer()).getData();
    for (int i = 0; i < rgb.length; i += 3) {
      bgr[i] = rgb[i + 2];
      bgr[i + 1] = rgb[i + 1];
      bgr[i + 2] = rgb[i];
    }
    return image;
  }
}
