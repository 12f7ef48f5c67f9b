package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import io.heatkv.error.WrongDownload;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;

/** What one mapped file holds; its format is told by its content. */
record ModelFile(SortedMap<String, TensorEntry> entries, Map<String, String> metadata) {
  /**
   * Maps and checks a file; the mapping lives as long as {@code arena}.
   *
   * @throws UserException if the file cannot be read or contradicts its format
   */
  static ModelFile map(Path file, Arena arena) {
    return read(file, mapBytes(file, arena), arena);
  }

  /** Checks a file's bytes; the entries are views of them, or copies that live in the arena. */
  static ModelFile read(Path file, MemorySegment all, Arena arena) {
    if (TorchZip.isOne(all)) {
      return TorchZip.read(file, all, arena);
    }
    if (TorchLegacy.isOne(all)) {
      return TorchLegacy.read(file, all, arena);
    }
    return SafetensorsFile.read(file, all);
  }

  /** All bytes of a regular file; symbolic links are followed. */
  static MemorySegment mapBytes(Path file, Arena arena) {
    if (Files.isDirectory(file)) {
      throw Problems.of(file, "is a folder; expected a file; name the model file in it");
    }
    // A pipe would block and a device has no size, so only plain files are opened.
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw Problems.of(file, "is not a regular file; expected a model file");
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      Optional<String> wrong = WrongDownload.in(file);
      if (wrong.isPresent()) {
        throw Problems.of(file, wrong.get());
      }
      return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (IOException e) {
      throw Problems.unreadable(file, e);
    }
  }
}
