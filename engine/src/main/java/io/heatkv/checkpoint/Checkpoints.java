package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Opens whatever holds a model: a file of any known format, told by its content, or a folder. */
public final class Checkpoints {
  /** What to look for in a folder, best first: a HuggingFace folder often holds both formats. */
  private static final List<List<String>> SUFFIXES =
      List.of(
          List.of(".safetensors.index.json"),
          List.of(".safetensors"),
          List.of(".bin.index.json"),
          List.of(".bin", ".pth", ".pt"));

  private static final List<String> USUAL = List.of(".safetensors", ".pth", ".pt", ".bin", ".ckpt");

  private static final int START = 16;

  private Checkpoints() {}

  /**
   * Opens a file, or the one checkpoint in a folder: an index or else a file of safetensors, else
   * an index or else a file of PyTorch's.
   *
   * @throws UserException if there is none, more than one, or it is unsound
   */
  public static Checkpoint open(Path path) {
    Path file = Files.isDirectory(path) ? onlyOneIn(path) : path;
    return startsLikeJson(file) ? Shards.open(file) : openSingle(file);
  }

  /**
   * Names of the files that an index puts its tensors in.
   *
   * @param index a {@code *.index.json}
   * @throws UserException if it is none
   */
  public static Set<String> shards(Path index) {
    return new TreeSet<>(ShardIndex.read(index).shardOf().values());
  }

  /**
   * Whether a file seems to hold tensors: by its first bytes or, as it may be damaged, by its name;
   * an index isn't one.
   */
  public static boolean isLike(Path file) {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(START);
    } catch (IOException _) {
      return false;
    }
    if (USUAL.stream().anyMatch(file.toString()::endsWith)) {
      return true;
    }
    if (start.length < START) {
      return false;
    }
    long length = MemorySegment.ofArray(start).get(Cursor.LONG, 0);
    boolean safetensors =
        length > 0 && length <= SafetensorsFile.LONGEST_HEADER && start[Long.BYTES] == '{';
    boolean zip = start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4;
    boolean pickle = start[0] == (byte) 0x80 && start[1] >= 2 && start[1] <= 5;
    return safetensors || zip || pickle;
  }

  private static Checkpoint openSingle(Path file) {
    Arena arena = Arena.ofShared();
    try {
      ModelFile mapped = ModelFile.map(file, arena);
      return new MappedCheckpoint(file, arena, mapped.entries(), mapped.metadata());
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  private static Path onlyOneIn(Path folder) {
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.filter(Files::isRegularFile).sorted().toList();
    } catch (IOException e) {
      throw Problems.unreadable(folder, e);
    }
    for (List<String> suffixes : SUFFIXES) {
      List<Path> found =
          files.stream().filter(f -> suffixes.stream().anyMatch(f.toString()::endsWith)).toList();
      if (found.size() == 1) {
        return found.getFirst();
      }
      if (!found.isEmpty()) {
        throw Problems.of(
            folder, "holds several checkpoints (" + names(found) + "); name one of them");
      }
    }
    throw Problems.of(
        folder,
        "holds no *.safetensors.index.json, *.safetensors, *.bin.index.json, *.bin, *.pth or *.pt;"
            + " name the model file");
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
