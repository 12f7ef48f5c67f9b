package io.heatkv.schedule;

import java.util.Comparator;

/**
 * The unit of removal: keys and values of all tokens of a source scale in one head of one layer.
 *
 * @param source scale that wrote it
 * @param head of the layer
 * @param layer index
 */
public record Atom(int source, int head, int layer) implements Comparable<Atom> {
  private static final Comparator<Atom> ORDER =
      Comparator.comparingInt(Atom::source)
          .thenComparingInt(Atom::head)
          .thenComparingInt(Atom::layer);

  /** By source scale, head, layer. */
  @Override
  public int compareTo(Atom other) {
    return ORDER.compare(this, other);
  }
}
