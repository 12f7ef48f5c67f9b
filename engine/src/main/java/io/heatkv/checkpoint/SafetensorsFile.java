package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The safetensors format: 8 bytes header length (little-endian), the JSON header, the data section,
 * which the tensors cover without overlap or hole.
 */
final class SafetensorsFile {
  /** The format's own limit. */
  static final long LONGEST_HEADER = 100_000_000;

  static final int PREFIX = Long.BYTES;
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private SafetensorsFile() {}

  /**
   * Checks a file's bytes; the entries are views of them.
   *
   * @throws UserException if the file contradicts the format
   */
  static ModelFile read(Path file, MemorySegment all) {
    if (all.byteSize() < PREFIX) {
      throw Problems.damaged(
          file, "is " + all.byteSize() + " bytes long; a safetensors file has at least 8");
    }
    long length = all.get(LENGTH, 0);
    if (length < 0 || length > LONGEST_HEADER) {
      throw Problems.damaged(
          file,
          "declares a header of "
              + Long.toUnsignedString(length)
              + " bytes, beyond the format's limit of "
              + LONGEST_HEADER
              + "; it is probably not a safetensors file");
    }
    if (length > all.byteSize() - PREFIX) {
      throw Problems.damaged(
          file,
          "declares a header of "
              + length
              + " bytes, but only "
              + (all.byteSize() - PREFIX)
              + " follow");
    }
    if (length == 0 || all.get(ValueLayout.JAVA_BYTE, PREFIX) != '{') {
      throw Problems.damaged(file, "has a header that does not start with '{'");
    }
    SafetensorsHeader header =
        SafetensorsHeader.parse(file, all.asSlice(PREFIX, length).asByteBuffer());
    MemorySegment data = all.asSlice(PREFIX + length);
    checkCover(file, header, data.byteSize());
    SortedMap<String, TensorEntry> entries = new TreeMap<>();
    for (SafetensorsHeader.Span span : header.tensors().values()) {
      MemorySegment bytes = data.asSlice(span.begin(), span.end() - span.begin());
      entries.put(span.name(), new TensorEntry(span.name(), span.dtype(), span.shape(), bytes));
    }
    return new ModelFile(entries, header.metadata());
  }

  private static void checkCover(Path file, SafetensorsHeader header, long dataBytes) {
    List<SafetensorsHeader.Span> spans =
        header.tensors().values().stream()
            .sorted(
                Comparator.comparingLong(SafetensorsHeader.Span::begin)
                    .thenComparingLong(SafetensorsHeader.Span::end))
            .toList();
    long covered = 0;
    String before = "the header";
    for (SafetensorsHeader.Span span : spans) {
      String name = "tensor " + Problems.quote(span.name());
      if (span.end() > dataBytes) {
        throw Problems.damaged(
            file, name + " ends at byte " + span.end() + ", but the data section has " + dataBytes);
      }
      if (span.begin() < covered) {
        throw Problems.damaged(file, name + " overlaps " + before);
      }
      if (span.begin() > covered) {
        throw Problems.damaged(
            file,
            "has a hole of "
                + (span.begin() - covered)
                + " bytes between "
                + before
                + " and "
                + name);
      }
      covered = span.end();
      before = name;
    }
    if (covered < dataBytes) {
      throw Problems.damaged(
          file,
          "has " + (dataBytes - covered) + " bytes behind " + before + " that no tensor owns");
    }
  }
}
