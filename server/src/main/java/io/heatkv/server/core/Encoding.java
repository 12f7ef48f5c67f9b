package io.heatkv.server.core;

import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.image.PngText;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Kinds of files that pictures are sent as. */
public sealed interface Encoding {
  /** Name in requests and answers. */
  String format();

  /**
   * The bytes of a file.
   *
   * @param texts for kinds that take them
   */
  byte[] encode(PngImage image, List<PngText> texts);

  /** Every pixel as it was drawn. */
  record OfPng() implements Encoding {
    @Override
    public String format() {
      return "png";
    }

    @Override
    public byte[] encode(PngImage image, List<PngText> texts) {
      return Png.encode(image, texts);
    }
  }

  /**
   * Smaller and not exact.
   *
   * @param quality from 0 to 100
   */
  record OfJpeg(int quality) implements Encoding {
    @Override
    public String format() {
      return "jpeg";
    }

    @Override
    public byte[] encode(PngImage image, List<PngText> texts) {
      ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
        ImageWriteParam settings = writer.getDefaultWriteParam();
        settings.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
        settings.setCompressionQuality(quality / 100f);
        writer.setOutput(out);
        writer.write(null, new IIOImage(image.toBufferedImage(), null, null), settings);
      } catch (IOException e) {
        throw new UncheckedIOException("writing to memory can't fail", e);
      } finally {
        writer.dispose();
      }
      return bytes.toByteArray();
    }
  }
}
