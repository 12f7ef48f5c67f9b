package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Tensor;
import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Turns strided views of storages into row-major tensors: in place where the elements already lie
 * so, else as a copy outside the heap.
 */
final class TensorView {
  /** What expanded tensors may take beyond the file's own size, over all tensors of a file. */
  private static final long SPARE = 1L << 25;

  private final Path file;
  private final Arena arena;
  private long copyable;

  private TensorView(Path file, long fileBytes, Arena arena) {
    this.file = file;
    this.arena = arena;
    copyable = fileBytes + SPARE;
  }

  /**
   * The tensors of one file of {@code fileBytes}; copies live as long as {@code arena}, and all
   * together are hardly larger than the file.
   *
   * @param storages bytes of each storage by key, exactly as many as it has elements for
   * @throws UserException if a view reaches outside its storage, or copies would grow too large
   */
  static SortedMap<String, TensorEntry> entries(
      Path file,
      long fileBytes,
      SortedMap<String, Tensor> tensors,
      Map<String, MemorySegment> storages,
      Arena arena) {
    TensorView view = new TensorView(file, fileBytes, arena);
    SortedMap<String, TensorEntry> entries = new TreeMap<>();
    tensors.forEach((name, tensor) -> {
      boolean opaque = tensor.storage().type() == StorageType.OPAQUE;
      MemorySegment storage = opaque ? MemorySegment.NULL : storages.get(tensor.storage().key());
      if (storage == null) {
        throw view.bad(name, tensor, "has a storage that the file does not hold");
      }
      entries.put(name, view.entry(name, tensor, storage));
    });
    return entries;
  }

  private TensorEntry entry(String name, Tensor tensor, MemorySegment storage) {
    StorageType type = tensor.storage().type();
    long[] shape = tensor.shape();
    check(name, tensor);
    long bytes = type.bytesOf(shape);
    if (bytes == 0) {
      return new TensorEntry(name, type, shape, storage.asSlice(0, 0));
    }
    long start = Math.multiplyExact(tensor.storage().first() + tensor.offset(), type.byteSize());
    if (isRowMajor(tensor)) {
      return new TensorEntry(name, type, shape, storage.asSlice(start, bytes));
    }
    if (bytes > copyable) {
      throw bad(
          name, tensor, "takes " + bytes + " bytes when laid out, far more than the file holds");
    }
    copyable -= bytes;
    MemorySegment copy = arena.allocate(bytes, Long.BYTES);
    copy(tensor, storage.asSlice(start), copy);
    return new TensorEntry(name, type, shape, copy.asReadOnly());
  }

  /** Every index must fall into the storage; sizes and strides are hostile until proven sound. */
  private void check(String name, Tensor tensor) {
    long[] shape = tensor.shape();
    long[] strides = tensor.strides();
    if (shape.length != strides.length) {
      throw bad(name, tensor, "has " + strides.length + " strides");
    }
    if (tensor.offset() < 0) {
      throw bad(name, tensor, "begins before its storage");
    }
    try {
      boolean empty = false;
      long last = tensor.offset();
      for (int i = 0; i < shape.length; i++) {
        if (shape[i] < 0 || strides[i] < 0) {
          throw bad(name, tensor, "has a negative size or stride");
        }
        empty |= shape[i] == 0;
        last = Math.addExact(last, Math.multiplyExact(Math.max(0, shape[i] - 1), strides[i]));
      }
      tensor.storage().type().bytesOf(shape);
      empty |= tensor.storage().type() == StorageType.OPAQUE;
      if (!empty && last >= tensor.storage().length()) {
        throw bad(
            name,
            tensor,
            "reaches element " + last + " of a storage of " + tensor.storage().length());
      }
    } catch (ArithmeticException _) {
      throw bad(name, tensor, "is too large to address");
    }
  }

  private static boolean isRowMajor(Tensor tensor) {
    long expected = 1;
    for (int i = tensor.shape().length - 1; i >= 0; i--) {
      if (tensor.shape()[i] != 1 && tensor.strides()[i] != expected) {
        return false;
      }
      expected *= tensor.shape()[i];
    }
    return true;
  }

  /** Walks the target in order; {@code source} begins at the view's first element. */
  private static void copy(Tensor tensor, MemorySegment source, MemorySegment target) {
    long[] shape = tensor.shape();
    long[] strides = tensor.strides();
    int size = tensor.storage().type().byteSize();
    int inner = shape.length - 1;
    long[] index = new long[shape.length];
    long from = 0;
    for (long to = 0; to < target.byteSize(); to += shape[inner] * size) {
      copyRow(source, from * size, strides[inner] * size, target, to, shape[inner], size);
      for (int i = inner - 1; i >= 0; i--) {
        from += strides[i];
        if (++index[i] < shape[i]) {
          break;
        }
        from -= index[i] * strides[i];
        index[i] = 0;
      }
    }
  }

  private static void copyRow(
      MemorySegment source,
      long from,
      long step,
      MemorySegment target,
      long to,
      long count,
      int size) {
    if (step == size) {
      MemorySegment.copy(source, from, target, to, count * size);
      return;
    }
    for (long i = 0; i < count; i++) {
      long at = from + i * step;
      long put = to + i * size;
      switch (size) {
        case 1 -> target.set(ValueLayout.JAVA_BYTE, put, source.get(ValueLayout.JAVA_BYTE, at));
        case 2 ->
            target.set(
                ValueLayout.JAVA_SHORT_UNALIGNED,
                put,
                source.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
        case 4 ->
            target.set(
                ValueLayout.JAVA_INT_UNALIGNED,
                put,
                source.get(ValueLayout.JAVA_INT_UNALIGNED, at));
        case 8 ->
            target.set(
                ValueLayout.JAVA_LONG_UNALIGNED,
                put,
                source.get(ValueLayout.JAVA_LONG_UNALIGNED, at));
        default -> MemorySegment.copy(source, at, target, put, size);
      }
    }
  }

  private UserException bad(String name, Tensor tensor, String text) {
    return Problems.damaged(
        file, "tensor " + Problems.quote(name) + " " + Problems.shape(tensor.shape()) + " " + text);
  }
}
