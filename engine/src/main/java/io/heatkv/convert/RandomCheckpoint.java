package io.heatkv.convert;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Small random weights of given names and shapes, stored as bf16.
 *
 * <p>All tensors are windows into one random block, so that a model of gigabytes is there at once.
 */
public final class RandomCheckpoint implements Checkpoint {
  // Uniform in +-0.04: activations of a deep model stay finite.
  private static final float LARGEST = 0.04f;
  // Windows start at different places, aligned for any element.
  private static final long STEP = 64;
  private static final long PLACES = 1024;

  private final Map<String, long[]> shapes;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment block;

  public RandomCheckpoint(Map<String, long[]> shapes, long seed) {
    this.shapes = new TreeMap<>(shapes);
    long most = 0;
    for (long[] shape : shapes.values()) {
      most = Math.max(most, StorageType.BF16.bytesOf(shape));
    }
    block = arena.allocate(most + STEP * PLACES, STEP);
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    for (long i = 0; i < block.byteSize() / 2; i++) {
      float value = (2 * random.nextFloat() - 1) * LARGEST;
      block.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >> 16));
    }
  }

  @Override
  public Path path() {
    return Path.of("random weights");
  }

  @Override
  public Set<String> names() {
    return shapes.keySet();
  }

  @Override
  public Optional<TensorEntry> find(String name) {
    long[] shape = shapes.get(name);
    if (shape == null) {
      return Optional.empty();
    }
    long start = Math.floorMod(name.hashCode(), PLACES) * STEP;
    return Optional.of(
        new TensorEntry(
            name,
            StorageType.BF16,
            shape,
            block.asSlice(start, StorageType.BF16.bytesOf(shape)).asReadOnly()));
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public void close() {
    arena.close();
  }
}
