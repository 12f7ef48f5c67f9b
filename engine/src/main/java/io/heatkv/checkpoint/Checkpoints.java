package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;

/** Opens whatever holds a model: a file of any known format, told by its content, or a folder. */
public final class Checkpoints {
  private static final String SINGLE = ".safetensors";
  private static final String INDEX = ".safetensors.index.json";

  private Checkpoints() {}

  /**
   * Opens a file, or the one checkpoint in a folder: its index if it has one, else its only
   * .safetensors file.
   *
   * @throws UserException if there is none, more than one, or it is unsound
   */
  public static Checkpoint open(Path path) {
    Path file = Files.isDirectory(path) ? onlyOneIn(path) : path;
    return startsLikeJson(file) ? Safetensors.openSharded(file) : Safetensors.open(file);
  }

  private static Path onlyOneIn(Path folder) {
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.filter(Files::isRegularFile).sorted().toList();
    } catch (IOException e) {
      throw Problems.unreadable(folder, e);
    }
    List<Path> indexes = endingWith(files, INDEX);
    List<Path> found = indexes.isEmpty() ? endingWith(files, SINGLE) : indexes;
    return switch (found.size()) {
      case 0 ->
          throw Problems.of(
              folder, "holds no *" + INDEX + " and no *" + SINGLE + "; name the model file");
      case 1 -> found.getFirst();
      default ->
          throw Problems.of(
              folder, "holds several checkpoints (" + names(found) + "); name one of them");
    };
  }

  private static List<Path> endingWith(List<Path> files, String suffix) {
    return files.stream().filter(f -> f.getFileName().toString().endsWith(suffix)).toList();
  }

  private static String names(Collection<Path> files) {
    return Problems.list(
        files.stream().map(f -> Problems.quiet(f.getFileName().toString())).toList());
  }

  /**
   * True for an index. A safetensors file can start with '{' too, as the low byte of its header
   * length, but then a zero follows within the eight bytes of the length, which no JSON has.
   */
  private static boolean startsLikeJson(Path file) {
    if (!Files.isRegularFile(file)) {
      return false;
    }
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(SafetensorsFile.PREFIX);
    } catch (IOException e) {
      throw Problems.unreadable(file, e);
    }
    int first = 0;
    for (int i = 0; i < start.length; i++) {
      if (start[i] == 0) {
        return false;
      }
      if (first == i && Character.isWhitespace(start[i])) {
        first++;
      }
    }
    return first < start.length && start[first] == '{';
  }
}
