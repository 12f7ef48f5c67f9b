package io.heatkv.tensor;

/** How the numbers of keys or of values are stored in a {@link StoredMap}. */
public enum NumberFormat {
  /** IEEE half precision, saturating, or bf16: see {@link StoredStep#half}. */
  FLOAT16,
  /** 8 bits, symmetric: {@code step q}, q from -127 to 127, one step for each entry. */
  INT8,
  /**
   * 4 bits, asymmetric: {@code low + step q}, q from 0 to 15, a low and a step for each channel of
   * the map. Channel 2i is in the low half of byte i, channel 2i + 1 in the high half.
   */
  INT4,
  /** 4 bits as {@link #INT4}, but a low and a step for each entry, one beside the other. */
  INT4_ENTRY;

  private static final int HALF_BYTES = 2;

  /** Bytes of one entry. */
  int entryBytes(int dim) {
    return switch (this) {
      case FLOAT16 -> HALF_BYTES * dim;
      case INT8 -> dim;
      case INT4, INT4_ENTRY -> dim / 2;
    };
  }

  /**
   * Bytes of a map's steps and lows, which are IEEE half precision, in whole granules of dim / 2
   * bytes: an entry's step or low and step each, or all channels' lows, then all steps.
   */
  int scaleBytes(int entries, int dim) {
    return Math.ceilDiv(numberBytes(entries, dim), dim / 2) * (dim / 2);
  }

  /** Bytes of the steps and lows themselves. */
  int numberBytes(int entries, int dim) {
    return switch (this) {
      case FLOAT16 -> 0;
      case INT8 -> HALF_BYTES * entries;
      case INT4_ENTRY -> 2 * HALF_BYTES * entries;
      case INT4 -> 2 * HALF_BYTES * dim;
    };
  }
}
