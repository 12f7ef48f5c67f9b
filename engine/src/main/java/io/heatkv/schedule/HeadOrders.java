package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.List;

/**
 * For every source scale all heads of all layers, least needed first: the order of their removal.
 */
public final class HeadOrders {
  private final int layers;
  private final int heads;
  private final int firstSource;
  // [source - firstSource][rank] = head * layers + layer
  private final int[][] orders;

  private HeadOrders(int layers, int heads, int firstSource, int[][] orders) {
    this.layers = layers;
    this.heads = heads;
    this.firstSource = firstSource;
    this.orders = orders;
  }

  /**
   * Checks orders that stand in parsed JSON: lists of lists of pairs of numbers.
   *
   * @param origin file or other name for messages
   * @throws UserException naming source scale and position of the first entry that is wrong, in the
   *     order in which the reference checks
   */
  public static HeadOrders parse(
      String origin, List<?> lists, int layers, int heads, int firstSource, int lastSource) {
    int expected = lastSource - firstSource + 1;
    if (lists.size() != expected) {
      throw new UserException(
          "%s: has %s orders; expected %s, for source scales %s to %s"
              .formatted(origin, lists.size(), expected, firstSource, lastSource));
    }
    int[][] orders = new int[expected][];
    for (int i = 0; i < expected; i++) {
      String name = origin + ": source scale " + (firstSource + i);
      if (!(lists.get(i) instanceof List<?> list)) {
        throw new UserException(name + " has no order; expected a list of [head, layer] pairs");
      }
      orders[i] = order(name, list, layers, heads);
    }
    return new HeadOrders(layers, heads, firstSource, orders);
  }

  private static int[] order(String name, List<?> list, int layers, int heads) {
    if (list.size() != layers * heads) {
      throw new UserException(
          "%s has %s entries; expected %s, each of %s heads in %s layers once"
              .formatted(name, list.size(), layers * heads, heads, layers));
    }
    int[] order = new int[list.size()];
    int[] positions = new int[list.size()];
    Arrays.fill(positions, -1);
    for (int i = 0; i < order.length; i++) {
      String entry = name + ", entry " + i;
      if (!(list.get(i) instanceof List<?> pair
          && pair.size() == 2
          && pair.get(0) instanceof Number head
          && pair.get(1) instanceof Number layer)) {
        throw new UserException(entry + " is no pair; expected [head, layer]");
      }
      order[i] = index(entry, "head", head, heads) * layers + index(entry, "layer", layer, layers);
      if (positions[order[i]] >= 0) {
        throw new UserException(
            "%s repeats [%s, %s] of entry %s; expected each head of each layer once"
                .formatted(entry, order[i] / layers, order[i] % layers, positions[order[i]]));
      }
      positions[order[i]] = i;
    }
    return order;
  }

  private static int index(String entry, String what, Number number, int count) {
    double value = number.doubleValue();
    if (!(value >= 0 && value < count && value == Math.rint(value))) {
      Object shown = value == (long) value ? (Object) (long) value : (Object) value;
      throw new UserException(
          entry + " has " + what + " " + shown + "; expected 0 to " + (count - 1));
    }
    return (int) value;
  }

  public int layers() {
    return layers;
  }

  /** Heads of one layer. */
  public int heads() {
    return heads;
  }

  public int firstSource() {
    return firstSource;
  }

  public int lastSource() {
    return firstSource + orders.length - 1;
  }

  /** The atom that a source scale loses as number {@code rank}, counted from 0. */
  public Atom atom(int source, int rank) {
    int entry = orders[source - firstSource][rank];
    return new Atom(source, entry / layers, entry % layers);
  }

  /** Number of that atom in a shape of the same layers and heads. */
  int code(int source, int rank) {
    return source * layers * heads + orders[source - firstSource][rank];
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof HeadOrders that
        && layers == that.layers
        && heads == that.heads
        && firstSource == that.firstSource
        && Arrays.deepEquals(orders, that.orders);
  }

  @Override
  public int hashCode() {
    return Arrays.deepHashCode(orders);
  }
}
