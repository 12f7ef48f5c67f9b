package io.heatkv.verify;

import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * A random shape of a block.
 *
 * @param rows of the batch
 * @param tokens of the current scale
 * @param earlier entries that every head has in a full cache
 * @param lengths entries that each head retained
 * @param seed of shape and values
 */
record KernelRangeCase(
    int rows, int heads, int dim, int tokens, int earlier, List<Integer> lengths, long seed) {
  private static final int LONGEST = 5000;
  private static final int MOST_ROWS = 8;
  // Where devices change kernels, tiles end, and the longest.
  private static final List<Integer> EDGES =
      List.of(1, 63, 64, 65, 255, 256, 257, 511, 512, 513, 4096, LONGEST);
  // Elements of one tensor: 256 MiB in float32, 512 in float64.
  private static final long MOST_ELEMENTS = 1 << 26;

  /**
   * @param products that attention may take at most, in elements: fewer rows and tokens if more
   */
  static KernelRangeCase of(int heads, int dim, long products, long seed) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    int rows = random.nextInt(1, MOST_ROWS + 1);
    int tokens = length(random);
    int earlier = length(random);
    while (rows > 1 && (long) rows * heads * dim * Math.max(tokens, earlier) > MOST_ELEMENTS) {
      rows--;
    }
    while (products(rows * heads * dim, tokens, earlier) > products && rows * tokens > 1) {
      tokens = rows > 1 ? tokens : tokens / 2;
      rows = Math.max(1, rows / 2);
    }
    int most = earlier;
    Integer[] lengths = new Integer[heads];
    Arrays.setAll(lengths, i -> random.nextInt(4) == 0 ? 0 : Math.min(most, length(random)));
    lengths[random.nextInt(heads)] = most;
    return new KernelRangeCase(rows, heads, dim, tokens, most, List.of(lengths), seed);
  }

  private static long products(long channels, long tokens, long earlier) {
    return channels * tokens * (tokens + earlier);
  }

  /** 1 to 5000, as often below 70 as above; a quarter of them at an edge. */
  private static int length(RandomGenerator random) {
    return random.nextInt(4) == 0
        ? EDGES.get(random.nextInt(EDGES.size()))
        : (int) Math.exp(random.nextDouble(Math.log(LONGEST + 1)));
  }

  /** Channels of all heads. */
  int width() {
    return heads * dim;
  }

  /** Entries that all heads of a row retained. */
  int retained() {
    return lengths.stream().mapToInt(Integer::intValue).sum();
  }
}
