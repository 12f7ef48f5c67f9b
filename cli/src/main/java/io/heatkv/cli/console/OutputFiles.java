package io.heatkv.cli.console;

import io.heatkv.error.UserException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Names of the files of a run: NAME.png for one picture, NAME-1.png, NAME-2.png, … for several;
 * NAME.scale-01.png, … beside a picture for what its scales show.
 *
 * @param output NAME.png
 * @param pictures how many there are
 */
public record OutputFiles(Path output, int pictures) {
  private static final String SUFFIX = ".png";

  /**
   * @throws UserException if the name doesn't end in .png
   */
  public OutputFiles {
    String name = Objects.toString(output.getFileName(), "");
    Outputs.requireFile(output, "a.png");
    if (!name.toLowerCase(Locale.ROOT).endsWith(SUFFIX) || name.length() == SUFFIX.length()) {
      throw new UserException("output " + output + " is no name of a PNG; expected NAME.png");
    }
  }

  /** File of a picture, numbered from 0. */
  public Path picture(int index) {
    return pictures == 1 ? output : changed(output, "-" + (index + 1));
  }

  /** Files of {@code count} pictures from one on. */
  public List<Path> pictures(int first, int count) {
    return IntStream.range(first, first + count).mapToObj(this::picture).toList();
  }

  /** File of what a picture shows after a scale, numbered from 0. */
  public static Path scale(Path picture, int scale) {
    return changed(picture, ".scale-%02d".formatted(scale + 1));
  }

  private static Path changed(Path file, String addition) {
    String name = file.getFileName().toString();
    int dot = name.length() - SUFFIX.length();
    return file.resolveSibling(name.substring(0, dot) + addition + name.substring(dot));
  }

  /**
   * Finds out before the work whether the files can be written.
   *
   * @param bytes that all files together may take
   * @throws UserException if the folder is missing, can't be written or has too little space
   */
  public void requireWritable(long bytes) {
    Outputs.requireWritable(output, bytes);
    for (int i = 0; i < pictures; i++) {
      if (Files.isDirectory(picture(i))) {
        throw new UserException("output " + picture(i) + " is a folder; name another file");
      }
    }
  }
}
