package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * An open model file (or set of shards): named tensors, mapped into memory for as long as it is
 * open. Safe to read from several threads; {@link #close} invalidates every segment handed out.
 */
public interface Checkpoint extends AutoCloseable {
  /** The file or index that was opened; messages name it. */
  Path path();

  /** All tensor names, sorted. */
  Set<String> names();

  /** The tensor of that name, or empty. */
  Optional<TensorEntry> find(String name);

  /**
   * The tensor of that name.
   *
   * @throws UserException if the file has none
   */
  default TensorEntry entry(String name) {
    return find(name).orElseThrow(() -> Problems.missing(path(), name));
  }

  /**
   * The tensors below a name, as {@code under("trainer.gpt_fsdp")}, their names without it and its
   * dot; closing either checkpoint closes both.
   *
   * @throws UserException if there are none
   */
  default Checkpoint under(String name) {
    return PartOfCheckpoint.of(this, name + ".");
  }

  /** All tensors but those of these names; closing either checkpoint closes both. */
  default Checkpoint without(Set<String> names) {
    return PartOfCheckpoint.without(this, names);
  }

  /** The file's own notes, text to text; of shards, the first that has a key gives its value. */
  Map<String, String> metadata();

  /** Unmaps the file; access to a segment throws IllegalStateException from then on. */
  @Override
  void close();
}
