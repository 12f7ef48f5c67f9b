package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Dictionary;
import io.heatkv.checkpoint.PickleValue.Scalar;
import io.heatkv.checkpoint.PickleValue.Sequence;
import io.heatkv.checkpoint.PickleValue.Storage;
import io.heatkv.checkpoint.PickleValue.Tensor;
import io.heatkv.checkpoint.PickleValue.Text;
import io.heatkv.checkpoint.PickleValue.Whole;
import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;

/**
 * The layout that torch.save wrote before PyTorch 1.6 and still can: five pickles (magic number,
 * protocol, notes on the system, the objects, the storages' keys), then each storage as its number
 * of elements (64 bits) and its bytes.
 */
final class TorchLegacy {
  private static final int PICKLE = 0x80;
  private static final int FRAME = 0x95;
  private static final int FRAME_BYTES = 9;
  private static final int NEWEST_PICKLE = 5;
  private static final int PROTOCOL = 1001;

  /** LONG1 with the number 0x1950a86a20f9469cfc6c, and STOP. */
  private static final MemorySegment MAGIC =
      MemorySegment.ofArray(HexFormat.of().parseHex("8a0a6cfc9c46f9206aa850192e"));

  private TorchLegacy() {}

  /**
   * True for a file that starts like a pickle. A safetensors file may too, with the length of its
   * header, but then that length is within the format's limit, which no pickle's first bytes are.
   */
  static boolean isOne(MemorySegment all) {
    return all.byteSize() >= Long.BYTES
        && all.get(ValueLayout.JAVA_BYTE, 0) == (byte) PICKLE
        && all.get(ValueLayout.JAVA_BYTE, 1) <= NEWEST_PICKLE
        && Long.compareUnsigned(all.get(Cursor.LONG, 0), SafetensorsFile.LONGEST_HEADER) > 0;
  }

  /**
   * Reads a file's tensors; those that don't lie row-major in it are copied into {@code arena}.
   *
   * @throws UserException if the file is unsound or holds anything but tensors and plain values
   */
  static ModelFile read(Path file, MemorySegment all, Arena arena) {
    Cursor in = new Cursor(file, "the file", all);
    TorchObjects torch = new TorchObjects(file);
    long magic = all.get(ValueLayout.JAVA_BYTE, 2) == (byte) FRAME ? 2 + FRAME_BYTES : 2;
    if (magic + MAGIC.byteSize() > all.byteSize()
        || all.asSlice(magic, MAGIC.byteSize()).mismatch(MAGIC) >= 0) {
      // A bare pickle: reading it names what it would have called.
      PickleMachine.read(file, in, torch);
      throw Problems.of(file, "is a pickle without the magic number of torch.save; check the path");
    }
    in.take(magic + MAGIC.byteSize());
    if (!(PickleMachine.read(file, in, torch) instanceof Whole(long protocol))
        || protocol != PROTOCOL) {
      throw Problems.damaged(file, "has a protocol other than " + PROTOCOL + " of torch.save");
    }
    checkSystem(file, PickleMachine.read(file, in, torch));
    SortedMap<String, Tensor> tensors =
        StateDict.tensors(file, PickleMachine.read(file, in, torch));
    Map<String, MemorySegment> storages = readStorages(file, in, torch);
    if (in.remaining() > 0) {
      throw Problems.damaged(file, "has " + in.remaining() + " bytes behind its last storage");
    }
    return new ModelFile(
        TensorView.entries(file, all.byteSize(), tensors, storages, arena), Map.of());
  }

  private static void checkSystem(Path file, PickleValue system) {
    if (system instanceof Dictionary dictionary) {
      int at = dictionary.keys().indexOf(new Text("little_endian"));
      if (at >= 0 && dictionary.values().get(at) == Scalar.TRUE) {
        return;
      }
    }
    throw Problems.of(file, "was not saved on a little-endian machine; save it on one");
  }

  private static Map<String, MemorySegment> readStorages(Path file, Cursor in, TorchObjects torch) {
    if (!(PickleMachine.read(file, in, torch) instanceof Sequence keys)) {
      throw Problems.damaged(file, "has no list of storages");
    }
    Map<String, MemorySegment> storages = new HashMap<>();
    for (PickleValue item : keys.items()) {
      Storage storage = item instanceof Text(String key) ? torch.storages().get(key) : null;
      if (storage == null || storages.containsKey(storage.key())) {
        throw Problems.damaged(file, "lists a storage twice, or one that no tensor has");
      }
      long elements = in.size();
      if (elements != storage.elements()) {
        throw Problems.damaged(
            file,
            "has the storage "
                + Problems.quote(storage.key())
                + " of "
                + elements
                + " elements, but its tensors expect "
                + storage.elements());
      }
      storages.put(storage.key(), in.take(storage.bytes()));
    }
    return storages;
  }
}
