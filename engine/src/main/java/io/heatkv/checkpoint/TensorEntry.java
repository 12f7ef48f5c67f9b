package io.heatkv.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.stream.LongStream;

/**
 * One named tensor of a checkpoint.
 *
 * @param name the key, as the file spells it
 * @param dtype how an element is stored
 * @param shape the dimensions, outermost first; empty for a scalar
 * @param bytes the elements, row-major and little-endian: a read-only view of the mapped file,
 *     whose start need not be aligned to the element (use the unaligned layouts), alive until the
 *     checkpoint is closed
 */
public record TensorEntry(String name, StorageType dtype, long[] shape, MemorySegment bytes) {
  public TensorEntry {
    shape = shape.clone();
    if (dtype.bytesOf(shape) != bytes.byteSize()) {
      throw new IllegalArgumentException("bytes do not fit the shape");
    }
  }

  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** The number of elements, 1 for a scalar. */
  public long elements() {
    return LongStream.of(shape).reduce(1, (a, b) -> a * b);
  }

  @Override
  public String toString() {
    return Problems.quote(name) + " " + dtype + " " + Problems.shape(shape);
  }
}
