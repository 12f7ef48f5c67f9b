package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Maps of one layer that are read or written together, the same in all rows.
 *
 * <p>Their entries, map after map, are what a workspace holds. Kernels read tables from device
 * memory; as for {@link HeadRanges}, those of many layers come there by one copy.
 */
public final class StoredMaps {
  // Of a map in a table: first entry, head, height, width, pool, formats, place of its runs, count.
  private static final int FIELDS = 9;

  private final List<StoredMap> maps;
  private final DType half;
  private final int[] starts;
  private final int[] ends;
  private final @Nullable Tensor table;

  private StoredMaps(
      List<StoredMap> maps, DType half, int[] starts, int[] ends, @Nullable Tensor table) {
    this.maps = maps;
    this.half = half;
    this.starts = starts;
    this.ends = ends;
    this.table = table;
  }

  /**
   * Maps of many layers with their tables, on the host: the same for all that use them.
   *
   * @param layers without what a device needs
   * @param numbers tables of all layers
   * @param places where each begins, and where the last ends
   */
  @SuppressWarnings("ArrayRecordComponent") // Handed on, never compared.
  public record Tables(List<StoredMaps> layers, int[] numbers, int[] places) {}

  /**
   * Makes tables.
   *
   * @param half type of {@link NumberFormat#FLOAT16}: F16 or BF16
   * @param heads of a layer
   * @param dim channels of a head, even
   * @throws IllegalArgumentException if a map's granules aren't as many as its bytes take
   */
  public static Tables tables(DType half, int heads, int dim, List<List<StoredMap>> layers) {
    List<StoredMaps> all = new ArrayList<>();
    int[] numbers = new int[1024];
    int[] places = new int[layers.size() + 1];
    for (int i = 0; i < layers.size(); i++) {
      layers.get(i).forEach(map -> map.check(dim));
      StoredMaps found = of(layers.get(i), half, heads);
      all.add(found);
      int[] own = found.numbers();
      places[i + 1] = places[i] + own.length;
      if (places[i + 1] > numbers.length) {
        numbers = Arrays.copyOf(numbers, Math.max(2 * numbers.length, places[i + 1]));
      }
      System.arraycopy(own, 0, numbers, places[i], own.length);
    }
    return new Tables(all, Arrays.copyOf(numbers, places[layers.size()]), places);
  }

  /**
   * Maps of many layers for a device.
   *
   * @param owner keeps what lies there
   */
  public static List<StoredMaps> of(Backend backend, Device device, Tables tables, Scope owner) {
    if (!device.isCuda() || tables.layers.isEmpty()) {
      return tables.layers;
    }
    List<StoredMaps> all = new ArrayList<>();
    try (Scope _ = Scope.open()) {
      Tensor numbers = Tensor.of(backend, tables.numbers, tables.numbers.length).to(device);
      for (int i = 0; i < tables.layers.size(); i++) {
        StoredMaps maps = tables.layers.get(i);
        if (maps.maps.isEmpty()) {
          all.add(maps);
        } else {
          int length = tables.places[i + 1] - tables.places[i];
          Tensor own = owner.adopt(numbers.narrow(0, tables.places[i], length));
          all.add(new StoredMaps(maps.maps, maps.half, maps.starts, maps.ends, own));
        }
      }
    }
    return all;
  }

  private static StoredMaps of(List<StoredMap> maps, DType half, int heads) {
    int[] starts = new int[maps.size() + 1];
    int[] ends = new int[heads + 1];
    for (int i = 0; i < maps.size(); i++) {
      starts[i + 1] = starts[i] + maps.get(i).entries();
      ends[maps.get(i).head() + 1] += maps.get(i).entries();
    }
    for (int head = 0; head < heads; head++) {
      ends[head + 1] += ends[head];
    }
    return new StoredMaps(maps, half, starts, ends, null);
  }

  /** Ends of the heads' entries, fields of the maps, runs of all maps: first granule, place. */
  private int[] numbers() {
    int runs = maps.stream().mapToInt(map -> map.runs().length).sum();
    int[] numbers = Arrays.copyOf(ends, ends.length + FIELDS * maps.size() + runs);
    int field = ends.length;
    int run = ends.length + FIELDS * maps.size();
    for (int i = 0; i < maps.size(); i++) {
      StoredMap map = maps.get(i);
      numbers[field++] = starts[i];
      numbers[field++] = map.head();
      numbers[field++] = map.height();
      numbers[field++] = map.width();
      numbers[field++] = map.pool();
      numbers[field++] = map.keys().ordinal();
      numbers[field++] = map.values().ordinal();
      numbers[field++] = run;
      numbers[field++] = map.runs().length / 2;
      int granule = 0;
      for (int j = 0; j < map.runs().length; j += 2) {
        numbers[run++] = granule;
        numbers[run++] = map.runs()[j];
        granule += map.runs()[j + 1];
      }
    }
    return numbers;
  }

  public List<StoredMap> maps() {
    return maps;
  }

  /** Type of {@link NumberFormat#FLOAT16}: F16 or BF16. */
  public DType half() {
    return half;
  }

  /** Heads of the layer. */
  public int heads() {
    return ends.length - 1;
  }

  /** Entries of all maps. */
  public int entries() {
    return starts[maps.size()];
  }

  /** Entries of the head that has most. */
  public int longest() {
    int longest = 0;
    for (int head = 0; head < heads(); head++) {
      longest = Math.max(longest, length(head));
    }
    return longest;
  }

  /** Entries of a head. */
  public int length(int head) {
    return ends[head + 1] - ends[head];
  }

  /** Whether an entry stands for several tokens. */
  public boolean isPooled() {
    return maps.stream().anyMatch(map -> map.pool() > 1);
  }

  /**
   * What kernels read, int32: the ends of the heads' entries [heads + 1], 9 fields of each map,
   * runs of granules.
   *
   * @throws IllegalStateException on the CPU
   */
  public Tensor table() {
    if (table == null) {
      throw new IllegalStateException("no tables on the CPU");
    }
    return table;
  }
}
