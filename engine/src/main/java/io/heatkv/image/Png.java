package io.heatkv.image;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;

/** Writes pictures as PNG and reads the texts of PNG files. */
public final class Png {
  static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

  /** The end of IHDR: 8 bits a channel, RGB, deflate, the usual filters, not interlaced. */
  private static final byte[] FORMAT = {8, 2, 0, 0, 0};

  private Png() {}

  /**
   * The picture as the bytes of a PNG file; the same input gives the same bytes, on any number of
   * cores.
   *
   * @param texts written in this order before the pixels, possibly none
   */
  public static byte[] encode(PngImage image, List<PngText> texts) {
    int width = image.width();
    int height = image.height();
    byte[] head = ByteBuffer.allocate(13).putInt(width).putInt(height).put(FORMAT).array();
    List<byte[]> parts = new ArrayList<>(List.of(SIGNATURE, PngChunk.chunk("IHDR", head)));
    texts.forEach(text -> parts.add(PngChunk.of(text)));
    parts.add(PngChunk.chunk("IDAT", PngPixels.compress(width, height, image.rgb())));
    parts.add(PngChunk.chunk("IEND"));
    ByteBuffer all =
        ByteBuffer.allocate(parts.stream().mapToInt(p -> p.length).reduce(0, Math::addExact));
    parts.forEach(all::put);
    return all.array();
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

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException _) {
      // The failure that brought us here is the one to report.
    }
  }
}
