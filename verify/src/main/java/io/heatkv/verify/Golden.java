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
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A folder of recorded files and where to compute.
 *
 * @param folder that holds the files
 * @param backend to test
 * @param device to test
 */
record Golden(Path folder, Backend backend, Device device) {
  boolean has(String... files) {
    return Arrays.stream(files).allMatch(file -> Files.isRegularFile(folder.resolve(file)));
  }

  Checkpoint open(String file) {
    return Checkpoints.open(folder.resolve(file));
  }

  /** Names of the files that match, sorted. */
  List<String> files(Pattern pattern) {
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
  Tensor tensor(Checkpoint recorded, String name, int rank) {
    TensorEntry entry = recorded.entry(name);
    if (entry.shape().length != rank || Arrays.stream(entry.shape()).anyMatch(size -> size == 0)) {
      throw new UserException(
          "%s: tensor %s has shape %s; expected %d dimensions, none empty"
              .formatted(recorded.path(), name, Arrays.toString(entry.shape()), rank));
    }
    return Weights.wrap(backend, entry, recorded).to(device);
  }
}
