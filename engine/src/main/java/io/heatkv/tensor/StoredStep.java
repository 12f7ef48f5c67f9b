package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a layer does with an arena of stored maps at a scale, the same in all rows: it attends to
 * maps, encodes some again, those of later layers too, and stores the current scale.
 */
public final class StoredStep {
  /** Entries of a tile: heads' entries are decoded in whole ones. */
  public static final int TILE = 128;

  // What the fields of a table hold, see numbers.
  private static final int MOST_TOKENS = 0xfff;
  private static final int MOST_MAPS = 64;
  private static final int FIELDS = 3;
  // A warp encodes so many entries side by side, each of so many parts of what it is the mean of.
  private static final int WARP_ENTRIES = 16;
  private static final int WARP_PARTS = 16;
  // Of few rows there are fewer warps than a device has room for, so that more threads share a map.
  private static final int FEW_PARTS = 4;
  private static final int FEW_ROWS = 4;

  private final Maps maps;
  private final DType half;
  private final int heads;
  // Where the entries of each head begin among those read, and the last head's end.
  private final int[] ends;
  // Where the maps of each head begin among those read, and the end.
  private final int[] firsts;
  // Where the granules of each moved map begin among theirs, and the end.
  private final int[] copies;
  private final int moved;
  private final int longest;
  private final int tiles;
  private final int large;
  private final int largeOfFew;
  // Where the step's table lies in that of all layers.
  private int place;

  /**
   * Maps of a step.
   *
   * @param reads maps attended to, by head
   * @param from maps that are encoded again, at other places
   * @param to what each map of {@code from} becomes, in their order, then what the current scale is
   *     stored as
   */
  public record Maps(List<StoredMap> reads, List<StoredMap> from, List<StoredMap> to) {}

  private StoredStep(Maps maps, DType half, int heads, int[] ends, int[] firsts, int[] copies) {
    this.maps = maps;
    this.firsts = firsts;
    this.half = half;
    this.heads = heads;
    this.ends = ends;
    this.copies = copies;
    moved = maps.from.stream().mapToInt(StoredMap::entries).sum();
    int most = 0;
    int inTiles = 0;
    for (int head = 0; head < heads; head++) {
      most = Math.max(most, length(head));
      inTiles += Math.ceilDiv(length(head), TILE);
    }
    longest = most;
    tiles = inTiles;
    large = larger(WARP_PARTS);
    largeOfFew = larger(FEW_PARTS);
  }

  /** Parts that a lane reads if a warp encodes a map of {@code to}. */
  private int parts(int i) {
    StoredMap map = maps.to.get(i);
    int side = map.pool() / (i < maps.from.size() ? maps.from.get(i).pool() : 1);
    return Math.ceilDiv(map.entries(), WARP_ENTRIES) * side * side;
  }

  /** Whether more threads than a warp's find work in a map of {@code to}. */
  private boolean isWide(int i) {
    return maps.to.get(i).entries() > WARP_ENTRIES;
  }

  /** Maps of {@code to} in which more threads than a warp's find work, of more parts. */
  private int larger(int parts) {
    int count = 0;
    for (int i = 0; i < maps.to.size(); i++) {
      count += isWide(i) && parts(i) > parts ? 1 : 0;
    }
    return count;
  }

  /**
   * Steps of many layers with their tables, on the host: the same for all that use them.
   *
   * @param numbers tables of all layers
   */
  @SuppressWarnings("ArrayRecordComponent") // Handed on, never compared.
  public record Tables(List<StoredStep> steps, int[] numbers) {}

  /**
   * Makes tables.
   *
   * @param half type of {@link NumberFormat#FLOAT16}: F16 or BF16
   * @param heads of a layer
   * @param dim channels of a head, even
   * @throws IllegalArgumentException if a map's granules aren't as many as its bytes take, maps
   *     that are read aren't ordered by head or too many
   */
  public static Tables tables(DType half, int heads, int dim, List<Maps> layers) {
    List<StoredStep> all = new ArrayList<>();
    int[] numbers = new int[1024];
    int end = 0;
    for (Maps layer : layers) {
      StoredStep step = of(layer, half, heads, dim);
      all.add(step);
      step.place = end;
      int[] own = step.numbers();
      if (end + own.length > numbers.length) {
        numbers = Arrays.copyOf(numbers, Math.max(2 * numbers.length, end + own.length));
      }
      System.arraycopy(own, 0, numbers, end, own.length);
      end += own.length;
    }
    return new Tables(all, Arrays.copyOf(numbers, end));
  }

  private static StoredStep of(Maps maps, DType half, int heads, int dim) {
    int[] ends = new int[heads + 1];
    int[] firsts = new int[heads + 1];
    int head = 0;
    int count = 0;
    for (StoredMap map : maps.reads) {
      map.check(dim);
      count = map.head() == head ? count + 1 : 1;
      if (map.head() < head || count > MOST_MAPS) {
        throw new IllegalArgumentException(
            "maps aren't ordered by head, or a head has more than " + MOST_MAPS);
      }
      head = map.head();
      ends[head + 1] += map.entries();
      firsts[head + 1]++;
    }
    for (int h = 0; h < heads; h++) {
      ends[h + 1] += ends[h];
      firsts[h + 1] += firsts[h];
    }
    int[] copies = new int[maps.from.size() + 1];
    for (int i = 0; i < maps.from.size(); i++) {
      maps.from.get(i).check(dim);
      copies[i + 1] = copies[i] + maps.from.get(i).bytes(dim) / (dim / 2);
    }
    maps.to.forEach(map -> map.check(dim));
    return new StoredStep(maps, half, heads, ends, firsts, copies);
  }

  /**
   * Numbers of a table.
   *
   * @param stored maps of {@code to}
   * @param maps of reads, from and to
   * @param runs of all of them
   */
  public static int tableNumbers(int heads, int stored, int maps, int runs) {
    return 3 * heads + 2 + stored + FIELDS * (maps + 1) + 2 * runs;
  }

  /**
   * A table: for each head, where its maps begin, then where its tiles begin, each with the last
   * end; the heads, those with most tiles first; places in {@code to}, the large ones first; of
   * each map of reads, from and to its shape, its head (of {@code from} its first granule among
   * copies) and where its runs begin; an end of the runs; of each run the first of the map's
   * granules in it and its place.
   */
  private int[] numbers() {
    List<StoredMap> all = new ArrayList<>(maps.reads);
    all.addAll(maps.from);
    all.addAll(maps.to);
    int runs = 0;
    for (StoredMap map : all) {
      runs += map.runs().length / 2;
    }
    int at = 3 * heads + 2;
    int run = at + maps.to.size() + FIELDS * (all.size() + 1);
    int[] numbers = new int[tableNumbers(heads, maps.to.size(), all.size(), runs)];
    System.arraycopy(firsts, 0, numbers, 0, heads + 1);
    for (int h = 0; h < heads; h++) {
      numbers[heads + 2 + h] = numbers[heads + 1 + h] + Math.ceilDiv(length(h), TILE);
    }
    long[] order = new long[heads];
    for (int h = 0; h < heads; h++) {
      order[h] = descending(length(h), h);
    }
    sorted(order, numbers, 2 * heads + 2);
    long[] largest = new long[maps.to.size()];
    for (int i = 0; i < largest.length; i++) {
      largest[i] = descending((isWide(i) ? 1L << 30 : 0) + parts(i), i);
    }
    sorted(largest, numbers, at);
    at += largest.length;
    for (int i = 0; i < all.size(); i++) {
      StoredMap map = all.get(i);
      boolean isMoved = i >= maps.reads.size() && i < maps.reads.size() + maps.from.size();
      numbers[at++] = shape(map);
      numbers[at++] = isMoved ? copies[i - maps.reads.size()] : map.head();
      numbers[at++] = run;
      int granule = 0;
      for (int j = 0; j < map.runs().length; j += 2) {
        numbers[run++] = granule;
        numbers[run++] = map.runs()[j];
        granule += map.runs()[j + 1];
      }
    }
    numbers[at + 2] = run;
    return numbers;
  }

  /** A key that sorts by a value, the largest first, then by an index. */
  static long descending(long value, int index) {
    return -value << 32 | index;
  }

  /** Puts the indices of sorted keys from a place on: many are sorted before code is compiled. */
  private static void sorted(long[] keys, int[] numbers, int at) {
    Arrays.sort(keys);
    for (int i = 0; i < keys.length; i++) {
      numbers[at + i] = (int) keys[i];
    }
  }

  private static int shape(StoredMap map) {
    if (map.height() > MOST_TOKENS || map.width() > MOST_TOKENS || map.pool() > 0xf) {
      throw new IllegalArgumentException("no table for " + map);
    }
    return map.height()
        | map.width() << 12
        | map.pool() << 24
        | map.keys().ordinal() << 28
        | map.values().ordinal() << 30;
  }

  /** Maps attended to, by head. */
  public List<StoredMap> reads() {
    return maps.reads;
  }

  /** Maps that a head attends to. */
  List<StoredMap> reads(int head) {
    return maps.reads.subList(firsts[head], firsts[head + 1]);
  }

  /** Maps that are encoded again. */
  public List<StoredMap> from() {
    return maps.from;
  }

  /** What each of {@link #from} becomes, then what the current scale is stored as. */
  public List<StoredMap> to() {
    return maps.to;
  }

  /**
   * How many of {@link #to}, the first of the table, take so long that one warp is too few.
   *
   * @param rows of which each has its own; with few of them more threads are idle
   */
  public int large(long rows) {
    return rows > FEW_ROWS ? large : largeOfFew;
  }

  /** Type of {@link NumberFormat#FLOAT16}: F16 or BF16. */
  public DType half() {
    return half;
  }

  /** Heads of the layer. */
  public int heads() {
    return heads;
  }

  /** Entries that are read, all heads together. */
  public int entries() {
    return ends[heads];
  }

  /** Entries that a head reads. */
  public int length(int head) {
    return ends[head + 1] - ends[head];
  }

  /** Entries of the head that reads most. */
  public int longest() {
    return longest;
  }

  /** Tiles that are read: a head's last one may be filled in part. */
  public int tiles() {
    return tiles;
  }

  /** Entries of all maps of {@link #from}. */
  public int moved() {
    return moved;
  }

  /** Granules of all maps of {@link #from}. */
  public int copied() {
    return copies[copies.length - 1];
  }

  /** Where the step's numbers begin among those of {@link Tables}. */
  public int place() {
    return place;
  }
}
