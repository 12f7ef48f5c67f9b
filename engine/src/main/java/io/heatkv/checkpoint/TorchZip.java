package io.heatkv.checkpoint;

import io.heatkv.checkpoint.PickleValue.Storage;
import io.heatkv.checkpoint.PickleValue.Tensor;
import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;

/**
 * The layout that torch.save writes since PyTorch 1.6: a zip archive of {@code data.pkl}, a {@code
 * data/KEY} for each storage, {@code version} and, since 2.1, {@code byteorder}.
 */
final class TorchZip {
  /** "PK" and the number of a first entry, or of an empty archive's end records. */
  private static final Set<Integer> STARTS = Set.of(0x04034b50, 0x06054b50, 0x06064b50);

  private static final int LONGEST_NOTE = 16;

  /** As {@code kMaxSupportedFileFormatVersion} of PyTorch. */
  private static final int NEWEST_VERSION = 10;

  private TorchZip() {}

  static boolean isOne(MemorySegment all) {
    return all.byteSize() >= Integer.BYTES && STARTS.contains(all.get(Cursor.INT, 0));
  }

  /**
   * Reads a file's tensors; those that don't lie row-major in it are copied into {@code arena}.
   *
   * @throws UserException if the file is unsound or holds anything but tensors and plain values
   */
  static ModelFile read(Path file, MemorySegment all, Arena arena) {
    ZipArchive archive = ZipArchive.read(file, all);
    checkNotes(file, archive);
    MemorySegment pickle =
        archive
            .find("data.pkl")
            .orElseThrow(() ->
                Problems.of(
                    file, "is a zip archive without data.pkl; expected one that torch.save wrote"));
    TorchObjects torch = new TorchObjects(file);
    Cursor in = new Cursor(file, "data.pkl", pickle);
    SortedMap<String, Tensor> tensors =
        StateDict.tensors(file, PickleMachine.read(file, in, torch));
    if (in.remaining() > 0) {
      throw Problems.damaged(file, "data.pkl has " + in.remaining() + " bytes behind its end");
    }
    Map<String, MemorySegment> storages = new HashMap<>();
    torch.storages().forEach((key, storage) -> storages.put(key, bytes(file, archive, storage)));
    return new ModelFile(
        TensorView.entries(file, all.byteSize(), tensors, storages, arena), Map.of());
  }

  private static MemorySegment bytes(Path file, ZipArchive archive, Storage storage) {
    String name = "data/" + storage.key();
    MemorySegment bytes =
        archive
            .find(name)
            .orElseThrow(() ->
                Problems.damaged(
                    file, "data.pkl names the storage " + Problems.quote(name) + ", not there"));
    if (bytes.byteSize() != storage.bytes()) {
      throw Problems.damaged(
          file,
          "has the storage "
              + Problems.quote(name)
              + " of "
              + bytes.byteSize()
              + " bytes, but its tensors expect "
              + storage.bytes());
    }
    return bytes;
  }

  private static void checkNotes(Path file, ZipArchive archive) {
    archive
        .find("byteorder")
        .map(note -> text(file, "byteorder", note))
        .filter(order -> !order.equals("little"))
        .ifPresent(order -> {
          throw Problems.of(
              file,
              "has the byte order "
                  + Problems.quote(order)
                  + "; expected 'little'; save it on a little-endian machine");
        });
    String version = archive.find("version").map(note -> text(file, "version", note)).orElse("1");
    if (!version.matches("[0-9]{1,3}") || Integer.parseInt(version) > NEWEST_VERSION) {
      throw Problems.of(
          file,
          "has the version "
              + Problems.quote(version)
              + "; expected 1 to "
              + NEWEST_VERSION
              + "; convert it to safetensors");
    }
  }

  private static String text(Path file, String name, MemorySegment note) {
    if (note.byteSize() > LONGEST_NOTE) {
      throw Problems.damaged(file, "has a " + name + " of " + note.byteSize() + " bytes");
    }
    return new Cursor(file, name, note).text(note.byteSize()).strip();
  }
}
