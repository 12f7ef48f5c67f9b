package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.nio.file.Path;

/**
 * Opens a safetensors file without copying: the bytes stay in the mapped file until the checkpoint
 * is closed. The file must not be cut short by others meanwhile.
 */
public final class Safetensors {
  private Safetensors() {}

  /**
   * Opens a single file.
   *
   * @throws UserException if it cannot be read or is not a sound safetensors file
   */
  public static Checkpoint open(Path file) {
    Arena arena = Arena.ofShared();
    try {
      ModelFile mapped = SafetensorsFile.read(file, ModelFile.mapBytes(file, arena));
      return new MappedCheckpoint(file, arena, mapped.entries(), mapped.metadata());
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }
}
