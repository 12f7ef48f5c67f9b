package io.heatkv.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;

/** Entries whose bytes belong to one arena, which this checkpoint owns. */
final class MappedCheckpoint implements Checkpoint {
  private final Path path;
  private final Arena arena;
  private final SortedMap<String, TensorEntry> entries;
  private final Map<String, String> metadata;

  MappedCheckpoint(
      Path path,
      Arena arena,
      SortedMap<String, TensorEntry> entries,
      Map<String, String> metadata) {
    this.path = path;
    this.arena = arena;
    this.entries = Collections.unmodifiableSortedMap(entries);
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Set<String> names() {
    return entries.keySet();
  }

  @Override
  public Optional<TensorEntry> find(String name) {
    return Optional.ofNullable(entries.get(name));
  }

  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
