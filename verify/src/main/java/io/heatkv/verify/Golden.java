package io.heatkv.verify;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A folder of recorded files and where to compute.
 *
 * @param folder that holds the files
 * @param backend to test
 * @param device to test
 * @param known files that comparisons asked for
 */
public record Golden(Path folder, Backend backend, Device device, Set<String> known) {
  /** In which no comparison has asked for a file. */
  public Golden(Path folder, Backend backend, Device device) {
    this(folder, backend, device, new HashSet<>());
  }

  /** Whether all of these files are there. */
  public boolean has(String... files) {
    boolean all = Arrays.stream(files).allMatch(file -> Files.isRegularFile(folder.resolve(file)));
    if (all) {
      known.addAll(List.of(files));
    }
    return all;
  }

  /** Opens a file of tensors. */
  public Checkpoint open(String file) {
    Path path = folder.resolve(file);
    if (file.endsWith(".index.json")) {
      known.addAll(Checkpoints.shards(path));
    }
    return Checkpoints.open(path);
  }

  /** Names of all visible files but texts for people. */
  List<String> all() {
    return listed(Pattern.compile("[^.].*(?<!\\.md)"));
  }

  /** Names of the files that match, sorted. */
  public List<String> files(Pattern pattern) {
    List<String> found = listed(pattern);
    known.addAll(found);
    return found;
  }

  private List<String> listed(Pattern pattern) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> file.getFileName().toString())
          .filter(name -> pattern.matcher(name).matches())
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UserException(folder + ": can't be listed (" + e + ")", e);
    }
  }

  /**
   * A recorded tensor on the device, in the innermost open scope.
   *
   * @param rank dimensions that it must have
   */
  public Tensor tensor(Checkpoint recorded, String name, int rank) {
    TensorEntry entry = recorded.entry(name);
    if (entry.shape().length != rank || Arrays.stream(entry.shape()).anyMatch(size -> size == 0)) {
      throw new UserException(
          "%s: tensor %s has shape %s; expected %d dimensions, none empty"
              .formatted(recorded.path(), name, Arrays.toString(entry.shape()), rank));
    }
    return Weights.wrap(backend, entry, recorded).to(device);
  }
}
