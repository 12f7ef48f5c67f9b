package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.List;

/**
 * How many entries every head of a layer has in a packed tensor, head after head, the same in all
 * rows of the batch.
 *
 * <p>Kernels read lengths from device memory. A copy there would stall each layer, so a cache makes
 * the ranges of all its layers and scales at once.
 */
public final class HeadRanges {
  private final int[] lengths;
  private final int longest;
  private final Tensor keyEnds;
  private final Tensor queryEnds;

  private HeadRanges(int[] lengths, Tensor keyEnds, Tensor queryEnds) {
    this.lengths = lengths;
    this.longest = max(lengths);
    this.keyEnds = keyEnds;
    this.queryEnds = queryEnds;
  }

  /**
   * @param lengths entries of each head
   * @param queries tokens that will attend to them
   */
  public record Layer(int[] lengths, int queries) {}

  /**
   * Ranges of many layers and scales by one copy to the device.
   *
   * @param rows of the batch
   * @param owner keeps the memory
   */
  public static List<HeadRanges> of(
      Backend backend, Device device, int rows, List<Layer> layers, Scope owner) {
    if (layers.isEmpty()) {
      return List.of();
    }
    int ends = rows * layers.getFirst().lengths.length + 1;
    int[] table = new int[Math.multiplyExact(2 * layers.size(), ends)];
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      for (int j = 1; j < ends; j++) {
        int key = 2 * i * ends + j;
        table[key] = table[key - 1] + layer.lengths[(j - 1) % layer.lengths.length];
        table[key + ends] = j * layer.queries;
      }
    }
    List<HeadRanges> ranges = new ArrayList<>();
    try (Scope _ = Scope.open()) {
      Tensor all = Tensor.of(backend, table, layers.size(), 2, ends).to(device);
      for (int i = 0; i < layers.size(); i++) {
        Tensor both = all.select(0, i);
        ranges.add(
            new HeadRanges(
                layers.get(i).lengths.clone(),
                owner.adopt(both.select(0, 0)),
                owner.adopt(both.select(0, 1))));
      }
    }
    return ranges;
  }

  /** The ranges of the first rows only; views. */
  public HeadRanges ofRows(long rows) {
    long ends = rows * lengths.length + 1;
    return ends == keyEnds.count()
        ? this
        : new HeadRanges(lengths, keyEnds.narrow(0, 0, ends), queryEnds.narrow(0, 0, ends));
  }

  private static int max(int[] values) {
    int max = 0;
    for (int value : values) {
      max = Math.max(max, value);
    }
    return max;
  }

  /** Entries of head {@code head} in every row. */
  public int length(int head) {
    return lengths[head];
  }

  /** Heads of a row. */
  public int heads() {
    return lengths.length;
  }

  /** Whether all heads have as many. */
  public boolean isEven() {
    for (int length : lengths) {
      if (length != longest) {
        return false;
      }
    }
    return true;
  }

  /** Entries of the head that has most. */
  public int longest() {
    return longest;
  }

  /** Ends of the heads' entries over all rows, from 0: int32 [rows * heads + 1]. */
  public Tensor keyEnds() {
    return keyEnds;
  }

  /** Ends of the heads' queries over all rows, from 0: int32 [rows * heads + 1]. */
  public Tensor queryEnds() {
    return queryEnds;
  }
}
