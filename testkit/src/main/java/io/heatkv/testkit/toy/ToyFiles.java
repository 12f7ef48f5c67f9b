package io.heatkv.testkit.toy;

import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.SyntheticCheckpoint;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** The file of a model. */
public final class ToyFiles {
  /** Name of the file of weights. */
  public static final String WEIGHTS = "toy.safetensors";

  private ToyFiles() {}

  /**
   * Writes a model of random weights.
   *
   * @throws io.heatkv.error.UserException if the folder can't be written
   */
  public static void write(Path folder, ToyConfig config, long seed) {
    String note = SyntheticCheckpoint.note(seed);
    Random random = new Random(seed);
    List<Item> items = new ArrayList<>();
    config
        .shapes()
        .forEach((name, shape) -> {
          byte[] elements = gaussian(random, shape);
          items.add(new Item(name, StorageType.F32, shape, () -> MemorySegment.ofArray(elements)));
        });
    SafetensorsWriter.write(
        folder.resolve(WEIGHTS), items, Map.of("format", "pt", SyntheticCheckpoint.NOTE, note));
  }

  /**
   * Products keep the size of what goes in, so that heads attend to some tokens more than others.
   */
  private static byte[] gaussian(Random random, long[] shape) {
    long count = 1;
    for (long size : shape) {
      count *= size;
    }
    double deviation = shape.length == 1 ? 0.1 : 1.5 / Math.sqrt((double) shape[1]);
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(count * Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    for (long i = 0; i < count; i++) {
      bytes.putFloat((float) (deviation * random.nextGaussian()));
    }
    return bytes.array();
  }
}
