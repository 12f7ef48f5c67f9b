package io.heatkv.checkpoint;

import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Some tensors of a checkpoint, a common prefix left out of their names. */
final class PartOfCheckpoint implements Checkpoint {
  private final Checkpoint whole;
  private final String prefix;
  private final SortedSet<String> names;

  private PartOfCheckpoint(Checkpoint whole, String prefix, SortedSet<String> names) {
    this.whole = whole;
    this.prefix = prefix;
    this.names = names;
  }

  static Checkpoint of(Checkpoint whole, String prefix) {
    SortedSet<String> names = new TreeSet<>();
    for (String name : whole.names()) {
      if (name.startsWith(prefix)) {
        names.add(name.substring(prefix.length()));
      }
    }
    if (names.isEmpty()) {
      Set<String> starts =
          whole.names().stream()
              .map(name -> Problems.quote(name.substring(0, (name + ".").indexOf('.'))))
              .collect(Collectors.toCollection(TreeSet::new));
      throw Problems.of(
          whole.path(),
          "has no tensor below "
              + Problems.quote(prefix)
              + "; its names begin with "
              + Problems.list(starts));
    }
    return new PartOfCheckpoint(whole, prefix, names);
  }

  static Checkpoint without(Checkpoint whole, Set<String> without) {
    SortedSet<String> names = new TreeSet<>(whole.names());
    return names.removeAll(without) ? new PartOfCheckpoint(whole, "", names) : whole;
  }

  @Override
  public Path path() {
    return whole.path();
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(names);
  }

  @Override
  public Optional<TensorEntry> find(String name) {
    if (!names.contains(name)) {
      return Optional.empty();
    }
    return whole
        .find(prefix + name)
        .map(entry -> new TensorEntry(name, entry.dtype(), entry.shape(), entry.bytes()));
  }

  @Override
  public Map<String, String> metadata() {
    return whole.metadata();
  }

  @Override
  public void close() {
    whole.close();
  }
}
