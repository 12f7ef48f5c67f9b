package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a checkpoint lacks, has too much or has in another shape than a model expects.
 *
 * @param path the file compared
 * @param missing expected and absent, each as {@code 'name' [shape]}
 * @param unexpected present and not expected, likewise
 * @param mismatched present in another shape, each as {@code 'name' [found] instead of [expected]}
 */
public record KeyCheck(
    Path path, List<String> missing, List<String> unexpected, List<String> mismatched) {
  public KeyCheck {
    missing = List.copyOf(missing);
    unexpected = List.copyOf(unexpected);
    mismatched = List.copyOf(mismatched);
  }

  /** Compares all names and shapes; dtypes are free. */
  public static KeyCheck compare(Checkpoint checkpoint, Map<String, long[]> expected) {
    List<String> missing = new ArrayList<>();
    List<String> unexpected = new ArrayList<>();
    List<String> mismatched = new ArrayList<>();
    new TreeMap<>(expected)
        .forEach((name, shape) -> {
          TensorEntry entry = checkpoint.find(name).orElse(null);
          if (entry == null) {
            missing.add(Problems.quote(name) + " " + Problems.shape(shape));
          } else if (!Arrays.equals(entry.shape(), shape)) {
            mismatched.add(differs(name, entry.shape(), shape));
          }
        });
    for (String name : checkpoint.names()) {
      if (!expected.containsKey(name)) {
        long[] shape = checkpoint.entry(name).shape();
        unexpected.add(Problems.quote(name) + " " + Problems.shape(shape));
      }
    }
    return new KeyCheck(checkpoint.path(), missing, unexpected, mismatched);
  }

  /**
   * Lets further tensors pass, as in a file that holds more than one model.
   *
   * @throws UserException if an expected tensor is missing or has another shape
   */
  public void requirePresent() {
    refuse(parts(List.of()));
  }

  /**
   * Demands exactly the expected tensors.
   *
   * @throws UserException if a tensor is missing, has another shape or is not expected
   */
  public void requireExact() {
    refuse(parts(unexpected));
  }

  private List<String> parts(List<String> tooMuch) {
    List<String> parts = new ArrayList<>();
    add(parts, "missing ", missing);
    add(parts, "unexpected ", tooMuch);
    add(parts, "in another shape ", mismatched);
    return parts;
  }

  private static void add(List<String> parts, String label, List<String> items) {
    if (!items.isEmpty()) {
      parts.add(label + Problems.list(items));
    }
  }

  private void refuse(List<String> parts) {
    if (!parts.isEmpty()) {
      throw Problems.of(
          path,
          "does not hold the expected tensors: "
              + String.join("; ", parts)
              + "; check that file and model size belong together");
    }
  }

  static String differs(String name, long[] found, long[] expected) {
    return Problems.quote(name)
        + " "
        + Problems.shape(found)
        + " instead of "
        + Problems.shape(expected);
  }
}
