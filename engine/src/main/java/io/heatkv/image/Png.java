package io.heatkv.image;

import io.heatkv.error.UserException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Writes pictures as PNG and reads the texts of PNG files. */
public final class Png {
  /**
   * Signature and IHDR chunk, behind which texts go so that readers find them before the pixels.
   */
  private static final int HEAD = 8 + 12 + 13;

  /** Of 0 (smallest) to 1 (not compressed): zlib's level 4; others gain a tenth in time or size. */
  private static final float QUALITY = 0.5f;

  private Png() {}

  /**
   * The picture as the bytes of a PNG file; the same input gives the same bytes.
   *
   * @param texts written in this order before the pixels, possibly none
   */
  public static byte[] encode(PngImage image, List<PngText> texts) {
    byte[] plain = encodePixels(image);
    List<byte[]> chunks = texts.stream().map(PngChunk::of).toList();
    int added = chunks.stream().mapToInt(c -> c.length).reduce(0, Math::addExact);
    ByteBuffer all = ByteBuffer.allocate(Math.addExact(plain.length, added)).put(plain, 0, HEAD);
    chunks.forEach(all::put);
    return all.put(plain, HEAD, plain.length - HEAD).array();
  }

  /**
   * Writes a picture, at first beside the target under another name, so that the target is either
   * whole or untouched.
   *
   * @throws UserException if the target is a folder, its folder does not exist or cannot be written
   */
  public static void write(Path target, PngImage image, List<PngText> texts) {
    Path folder = target.toAbsolutePath().getParent();
    if (Files.isDirectory(target)) {
      throw PngProblems.of(target, "is a folder; expected the name of a file to write");
    }
    if (folder != null && !Files.isDirectory(folder)) {
      throw PngProblems.of(target, "cannot be written: its folder does not exist; create it first");
    }
    byte[] bytes = encode(image, texts);
    Path temporary = target.resolveSibling(".heatkv-" + UUID.randomUUID() + ".tmp");
    try {
      Files.write(temporary, bytes, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw PngProblems.failed(target, "cannot be written", e);
    } finally {
      deleteQuietly(temporary);
    }
  }

  /**
   * All texts of a PNG file (tEXt, zTXt and iTXt), in the order of the file. The whole file is
   * checked, pixels by their checksums only.
   *
   * @throws UserException if the file cannot be read, is no PNG, is damaged or cut short, none of
   *     its texts is sound, or they exceed 1000 or together 16 MiB
   */
  public static List<PngText> readMetadata(Path file) {
    return readMetadata(file, _ -> {});
  }

  /**
   * As above.
   *
   * @param problems is told of texts that can't be read, beside others that can
   */
  public static List<PngText> readMetadata(Path file, Consumer<UserException> problems) {
    return PngReader.readTexts(file, problems);
  }

  private static byte[] encodePixels(PngImage image) {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    // In memory, since ImageIO's own streams would make a temporary file.
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      ImageWriteParam settings = writer.getDefaultWriteParam();
      settings.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      settings.setCompressionQuality(QUALITY);
      writer.setOutput(out);
      writer.write(null, new IIOImage(image.toBufferedImage(), null, null), settings);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory cannot fail", e);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException _) {
      // The failure that brought us here is the one to report.
    }
  }
}
