package io.heatkv.convert;

import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.sample.Philox;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Checkpoints of random weights, for trying out sizes without the trained ones. Element i of a
 * tensor depends on the seed, the tensor's name and i alone, not on shards, order or platform.
 */
public final class SyntheticCheckpoint {
  /** Metadata key of every file, whose value says that the weights are random. */
  public static final String NOTE = "heatkv.weights";

  private static final float STANDARD_DEVIATION = 0.02f;

  /** A normalization's scale: one dimension, and "norm" in the name of its module. */
  private static final Pattern NORM = Pattern.compile("(^|.*\\.)[^.]*norm[^.]*\\.(.*\\.)?weight");

  private static final int CHUNK = 1 << 18;

  /** Elements of a chunk that one thread fills. */
  private static final int BLOCK = 1 << 14;

  /** A sum of four uniform 16-bit numbers: its mean, and its standard deviation. */
  private static final int MEAN = 2 * 0xFFFF;

  private static final double SPREAD = Math.sqrt((0x1p32 - 1) / 3);
  private static final float SCALE = (float) (STANDARD_DEVIATION / SPREAD);

  private SyntheticCheckpoint() {}

  /**
   * Writes tensors of these names and shapes into a folder: weights around 0, scales of
   * normalizations around 1, standard deviation 0.02 (the sum of four uniform numbers, which is
   * close to normal and never beyond 3.5 deviations). A run that was cut off goes on where it
   * stopped.
   *
   * @param dtype BF16, F32 or F16
   * @throws UserException if the folder cannot be written or holds another model
   */
  public static ShardedWriter.Result write(
      Path folder,
      Map<String, long[]> shapes,
      StorageType dtype,
      long seed,
      long shardBytes,
      ShardedWriter.Progress progress) {
    CheckpointImport.requireTarget(dtype);
    return write(folder, shapes, _ -> dtype, seed, shardBytes, progress);
  }

  /**
   * As above with a type for each tensor.
   *
   * @param types of the tensor of a name: BF16, F32 or F16
   */
  public static ShardedWriter.Result write(
      Path folder,
      Map<String, long[]> shapes,
      Function<String, StorageType> types,
      long seed,
      long shardBytes,
      ShardedWriter.Progress progress) {
    List<Item> items = new ArrayList<>();
    shapes.forEach((name, shape) -> {
      StorageType dtype = CheckpointImport.requireTarget(types.apply(name));
      float mean = shape.length == 1 && NORM.matcher(name).matches() ? 1 : 0;
      long elements = dtype.bytesOf(shape) / dtype.byteSize();
      items.add(
          new Item(name, dtype, shape, sink -> fill(name, elements, mean, dtype, seed, sink)));
    });
    Map<String, String> metadata = Map.of("format", "pt", NOTE, note(seed));
    return ShardedWriter.write(folder, items, metadata, shardBytes, progress);
  }

  /** What is said about weights of that seed. */
  public static String note(long seed) {
    return "random weights, not trained; seed " + seed;
  }

  private static void fill(
      String name,
      long elements,
      float mean,
      StorageType dtype,
      long seed,
      Consumer<MemorySegment> sink) {
    long key = hash(name);
    int length = (int) Math.min(CHUNK, elements);
    float[] values = new float[length];
    MemorySegment out = MemorySegment.ofArray(new byte[length * dtype.byteSize()]);
    for (long at = 0; at < elements; at += length) {
      long start = at;
      int count = (int) Math.min(length, elements - at);
      IntStream.range(0, (count + BLOCK - 1) / BLOCK)
          .parallel()
          .forEach(block ->
              fillBlock(
                  values, block * BLOCK, Math.min(count, (block + 1) * BLOCK), start, key, seed));
      for (int i = 0; i < count; i++) {
        values[i] = mean + SCALE * values[i];
      }
      Elements.encode(values, count, dtype, out);
      sink.accept(out.asSlice(0, (long) count * dtype.byteSize()));
    }
  }

  /** Whole numbers around 0, for {@code values[from..to)}, which begin at an even element. */
  private static void fillBlock(float[] values, int from, int to, long start, long key, long seed) {
    int[] words = new int[4];
    for (int i = from; i < to; i += 2) {
      long counter = (start + i) / 2;
      Philox.generate(
          (int) counter,
          (int) (counter >>> 32),
          (int) key,
          (int) (key >>> 32),
          (int) seed,
          (int) (seed >>> 32),
          words);
      values[i] = sum(words[0], words[1]) - MEAN;
      if (i + 1 < to) {
        values[i + 1] = sum(words[2], words[3]) - MEAN;
      }
    }
  }

  private static int sum(int a, int b) {
    return (a & 0xFFFF) + (a >>> 16) + (b & 0xFFFF) + (b >>> 16);
  }

  /** FNV-1a of 64 bits: tells names apart on every platform. */
  private static long hash(String name) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xFF)) * 0x100000001b3L;
    }
    return hash;
  }
}
