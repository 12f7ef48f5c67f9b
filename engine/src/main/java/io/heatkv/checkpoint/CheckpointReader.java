package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;

/** Takes tensors out of a checkpoint one by one, shapes checked, and remembers which were taken. */
public final class CheckpointReader {
  private final Checkpoint checkpoint;
  private final Set<String> used = new TreeSet<>();

  public CheckpointReader(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
  }

  /**
   * The tensor of that name and shape.
   *
   * @throws UserException if it is missing or has another shape
   */
  public TensorEntry require(String name, long... shape) {
    TensorEntry entry = checkpoint.entry(name);
    if (!Arrays.equals(entry.shape(), shape)) {
      throw Problems.of(
          checkpoint.path(),
          "has tensor "
              + KeyCheck.differs(name, entry.shape(), shape)
              + "; check that file and model size belong together");
    }
    used.add(name);
    return entry;
  }

  /** The names that {@link #require} has not taken, sorted; a fresh set. */
  public Set<String> unexpected() {
    Set<String> left = new TreeSet<>(checkpoint.names());
    left.removeAll(used);
    return left;
  }
}
