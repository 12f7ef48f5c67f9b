package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * A network of a family's models, told by its tensors wherever they lie in a file.
 *
 * @param label for people, such as {@code T5 text encoder}
 * @param mark name of a tensor that only such networks have
 * @param usualPlace the key above its tensors in what trainers save; empty for none
 * @param dropped names of tensors that nothing reads
 * @param oncePerFolder whether a folder's files of it are the same weights in several formats
 * @param sizes what its shapes tell of it, for people; empty if that is nothing
 */
public record Network(
    String label,
    String mark,
    String usualPlace,
    Set<String> dropped,
    boolean oncePerFolder,
    Function<Checkpoint, String> sizes) {
  public Network {
    dropped = Set.copyOf(dropped);
  }

  /** Whether a checkpoint holds this network. */
  public boolean isIn(Checkpoint checkpoint) {
    return !places(checkpoint).isEmpty();
  }

  /**
   * This network's tensors, their names as the network itself has them. A checkpoint that holds
   * none is given whole, so that the reader can say what it lacks.
   *
   * @throws UserException if the checkpoint holds several such networks
   */
  public Checkpoint part(Checkpoint whole) {
    return place(whole).map(whole::under).orElse(whole).without(dropped);
  }

  /**
   * The keys above this network's tensors, or empty if there are none above.
   *
   * @throws UserException if the file holds several such networks
   */
  public Optional<String> place(Checkpoint checkpoint) {
    Set<String> places = places(checkpoint);
    if (places.isEmpty() || places.contains("")) {
      return Optional.empty();
    }
    List<String> usual =
        places.stream().filter(p -> p.equals(usualPlace) || p.endsWith("." + usualPlace)).toList();
    if (usual.size() == 1) {
      return Optional.of(usual.getFirst());
    }
    if (places.size() > 1) {
      throw new UserException(
          "%s: holds several networks of the kind %s (below %s); save one of them"
              .formatted(checkpoint.path(), label, String.join(", ", places)));
    }
    return Optional.of(places.iterator().next());
  }

  private Set<String> places(Checkpoint checkpoint) {
    Set<String> places = new TreeSet<>();
    for (String name : checkpoint.names()) {
      if (name.equals(mark)) {
        places.add("");
      } else if (name.endsWith("." + mark)) {
        places.add(name.substring(0, name.length() - mark.length() - 1));
      }
    }
    return places;
  }

  @Override
  public String toString() {
    return label;
  }
}
