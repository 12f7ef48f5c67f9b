package io.heatkv.cache;

import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.NumberFormat;
import io.heatkv.tensor.StoredMap;
import io.heatkv.tensor.StoredStep;
import java.util.ArrayList;
import java.util.List;

/** Keeps everything, in fewer bits. */
public final class FormatPolicy implements CachePolicy {
  /** 8 bits, symmetric; a step for each key and each value. */
  public static final CachePolicy INT8 =
      new FormatPolicy("int8", NumberFormat.INT8, NumberFormat.INT8);

  /**
   * KIVI (arXiv 2402.02750) at 4 bits: keys for each channel of a scale's map, values for each
   * token.
   */
  public static final CachePolicy KIVI =
      new FormatPolicy("kivi", NumberFormat.INT4, NumberFormat.INT4_ENTRY);

  private final String name;
  private final NumberFormat keys;
  private final NumberFormat values;

  private FormatPolicy(String name, NumberFormat keys, NumberFormat values) {
    this.name = name;
    this.keys = keys;
    this.values = values;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public KvPlan plan(KvShape shape) {
    Places places = new Places(shape);
    return LevelCache.plan(shape, places.parts(), places);
  }

  /** Maps one after another: layers, scales, heads. */
  private final class Places implements LevelCache.Steps {
    private final KvShape shape;
    // Granules of one head's maps before each scale.
    private final int[] starts;

    Places(KvShape shape) {
      this.shape = shape;
      starts = new int[shape.grids().count()];
      for (int scale = 1; scale < starts.length; scale++) {
        starts[scale] = starts[scale - 1] + granules(map(scale - 1, 0, new int[0]));
      }
    }

    private StoredMap map(int scale, int head, int[] runs) {
      ScaleSize size = shape.grids().size(scale);
      return new StoredMap(head, size.height(), size.width(), 1, keys, values, runs);
    }

    private int granules(StoredMap map) {
      return map.bytes(shape.headDim()) / (shape.headDim() / 2);
    }

    private int layerGranules() {
      return Math.multiplyExact(shape.heads(), starts[starts.length - 1]);
    }

    /** Of all rows; the tables of the last scale that is stored are the largest. */
    KvParts parts() {
      long numbers = 0;
      long loss = 0;
      for (int scale = 0; scale < starts.length - 1; scale++) {
        StoredMap map = map(scale, 0, new int[0]);
        numbers += map.numberBytes(shape.headDim());
        loss += map.lossBytes(shape.headDim());
      }
      long heads = (long) shape.batch() * shape.layers() * shape.heads();
      int maps = shape.heads() * (starts.length - 1);
      int table = StoredStep.tableNumbers(shape.heads(), shape.heads(), maps, maps);
      long tables = (long) Integer.BYTES * shape.layers() * table;
      return new KvParts(heads * numbers, heads * loss, tables);
    }

    @Override
    public int[] groups(int scale) {
      return new int[] {shape.layers()};
    }

    @Override
    public int granules() {
      return Math.multiplyExact(shape.layers(), layerGranules());
    }

    @Override
    public long mostEntries() {
      int tiles = Math.ceilDiv(shape.grids().cachedTokens(), StoredStep.TILE);
      return (long) shape.heads() * tiles * StoredStep.TILE;
    }

    @Override
    public List<StoredStep.Maps> at(int scale) {
      List<StoredStep.Maps> layers = new ArrayList<>();
      for (int layer = 0; layer < shape.layers(); layer++) {
        List<StoredMap> reads = new ArrayList<>();
        List<StoredMap> writes = new ArrayList<>();
        for (int head = 0; head < shape.heads(); head++) {
          for (int source = 0; source < scale; source++) {
            reads.add(place(source, head, layer));
          }
          if (scale < starts.length - 1) {
            writes.add(place(scale, head, layer));
          }
        }
        layers.add(new StoredStep.Maps(reads, List.of(), writes));
      }
      return layers;
    }

    private StoredMap place(int source, int head, int layer) {
      int size = starts[source + 1] - starts[source];
      int start = layer * layerGranules() + starts[source] * shape.heads() + head * size;
      return map(source, head, new int[] {start, size});
    }
  }
}
