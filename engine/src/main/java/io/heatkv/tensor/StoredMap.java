package io.heatkv.tensor;

/**
 * Keys and values that one head has of a map of tokens, as they lie in an arena of bytes.
 *
 * <p>The bytes, cut into granules of head_dim / 2: the entries one after another, each its key and
 * then its value; then the scales of the keys; then those of the values (see {@link NumberFormat}).
 *
 * @param head of the layer
 * @param height rows of tokens
 * @param width columns of tokens
 * @param pool side of the blocks of tokens whose mean is an entry; blocks begin at the first row
 *     and column, those at the far edges may be smaller
 * @param keys format of the keys
 * @param values format of the values
 * @param runs granules of the arena that hold the bytes: start, length, start, length …
 */
public record StoredMap(
    int head, int height, int width, int pool, NumberFormat keys, NumberFormat values, int[] runs) {
  /** Columns of entries. */
  int columns() {
    return Math.ceilDiv(width, pool);
  }

  /** Blocks of the map. */
  public int entries() {
    return Math.ceilDiv(height, pool) * columns();
  }

  /** Tokens that an entry stands for. */
  int tokens(int entry) {
    int row = entry / columns() * pool;
    int column = entry % columns() * pool;
    return Math.min(pool, height - row) * Math.min(pool, width - column);
  }

  /** Bytes of an entry's key and value. */
  int entryBytes(int dim) {
    return keys.entryBytes(dim) + values.entryBytes(dim);
  }

  /** Bytes of everything, a multiple of dim / 2. */
  public int bytes(int dim) {
    int entries = entries();
    return entries * entryBytes(dim)
        + keys.scaleBytes(entries, dim)
        + values.scaleBytes(entries, dim);
  }

  /** Bytes of the scales' numbers among them. */
  public int numberBytes(int dim) {
    return keys.numberBytes(entries(), dim) + values.numberBytes(entries(), dim);
  }

  /** Bytes among them that are empty: each part's numbers begin a granule. */
  public int lossBytes(int dim) {
    return bytes(dim) - entries() * entryBytes(dim) - numberBytes(dim);
  }

  /**
   * @throws IllegalArgumentException if the runs aren't as many granules as the bytes take
   */
  void check(int dim) {
    int granules = 0;
    for (int i = 1; i < runs.length; i += 2) {
      granules += runs[i];
    }
    if ((long) granules * (dim / 2) != bytes(dim)) {
      throw new IllegalArgumentException(
          "%d granules of %d bytes for %d bytes".formatted(granules, dim / 2, bytes(dim)));
    }
  }
}
