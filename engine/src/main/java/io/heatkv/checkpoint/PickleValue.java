package io.heatkv.checkpoint;

import java.util.List;

/** What a pickle builds here: data only, never an object with behaviour. */
sealed interface PickleValue {
  /** Values that carry nothing worth keeping, and the mark that opcodes count back to. */
  enum Scalar implements PickleValue {
    NONE,
    TRUE,
    FALSE,
    /** A number, bytes, dtype or device: training notes that no tensor depends on. */
    OTHER,
    MARK
  }

  /** A string. */
  record Text(String text) implements PickleValue {}

  /** An integer of at most 64 bits. */
  record Whole(long value) implements PickleValue {}

  /** A list, set ({@code frozen} false) or tuple (true). */
  record Sequence(boolean frozen, List<PickleValue> items) implements PickleValue {}

  /** A dictionary, as it was filled: keys may repeat, key i belongs to value i. */
  record Dictionary(List<PickleValue> keys, List<PickleValue> values) implements PickleValue {}

  /** A class of storages, {@code torch.FloatStorage}, or a dtype, {@code torch.float32}. */
  record StorageKind(StorageType type) implements PickleValue {}

  /**
   * A piece of a storage.
   *
   * @param key names the storage within its file
   * @param elements of the whole storage
   * @param first element of the piece
   * @param length elements of the piece
   */
  record Storage(StorageType type, String key, long elements, long first, long length)
      implements PickleValue {
    /** Bytes of the whole storage. */
    long bytes() {
      return Math.multiplyExact(elements, (long) type.byteSize());
    }
  }

  /** A view of a storage; offset and strides count elements. Nothing is checked yet. */
  record Tensor(Storage storage, long offset, long[] shape, long[] strides) implements PickleValue {
    private static final Storage NOWHERE = new Storage(StorageType.OPAQUE, "", 0, 0, 0);

    /** A tensor of which only the shape can be told. */
    static Tensor opaque(long[] shape) {
      return new Tensor(NOWHERE, 0, shape, new long[shape.length]);
    }
  }

  /** The functions that a tensor checkpoint calls. */
  enum Function implements PickleValue {
    REBUILD_TENSOR,
    REBUILD_TENSOR_OF_TYPE,
    /** Of a sparse, quantised, nested or dataless tensor. */
    REBUILD_OPAQUE,
    REBUILD_PARAMETER,
    REBUILD_ON_DEVICE,
    REBUILD_FROM_TYPE,
    ORDERED_DICT,
    LIST,
    SIZE,
    /** A class whose objects are plain values: bytes, complex, datetime. */
    PLAIN
  }
}
