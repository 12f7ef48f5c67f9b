package io.heatkv.schedule;

/** In how many bits the numbers of an atom are stored. */
public enum Precision {
  /** 16 bits: bf16 where that is the compute type, else IEEE half precision, saturating. */
  FLOAT16("16", 8),
  /** 8 bits, symmetric; one 16-bit step for each token, for keys and for values. */
  INT8("8", 4),
  /** Keys as {@link #INT8}, values as {@link #INT4}. */
  K8V4("k8v4", 3),
  /** 4 bits, asymmetric; two 16-bit numbers, low and step, for each channel over the atom's map. */
  INT4("4", 2);

  private static final int NUMBER_BYTES = 2;

  private final String text;
  private final int entryGranules;

  Precision(String text, int entryGranules) {
    this.text = text;
    this.entryGranules = entryGranules;
  }

  /** Granules of head_dim / 2 bytes that the key and the value of one entry take. */
  public int entryGranules() {
    return entryGranules;
  }

  /**
   * Granules that the numbers of an atom's scales take: keys' steps, then values', or per channel
   * all lows, then all steps; keys' and values' numbers begin a granule each.
   *
   * @param entries of the atom
   * @param headDim channels of a head, even
   */
  public int numberGranules(int entries, int headDim) {
    int granule = headDim / 2;
    int perEntry = Math.ceilDiv(entries * NUMBER_BYTES, granule);
    int perChannel = 2 * headDim * NUMBER_BYTES / granule;
    return switch (this) {
      case FLOAT16 -> 0;
      case INT8 -> 2 * perEntry;
      case K8V4 -> perEntry + perChannel;
      case INT4 -> 2 * perChannel;
    };
  }

  /** Bytes of the numbers of an atom's scales, of which granules may hold more. */
  public int numberBytes(int entries, int headDim) {
    int perEntry = entries * NUMBER_BYTES;
    int perChannel = 2 * headDim * NUMBER_BYTES;
    return switch (this) {
      case FLOAT16 -> 0;
      case INT8 -> 2 * perEntry;
      case K8V4 -> perEntry + perChannel;
      case INT4 -> 2 * perChannel;
    };
  }

  /** As users write it: 16, 8, k8v4 or 4. */
  @Override
  public String toString() {
    return text;
  }
}
