package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * One mapped safetensors file: 8 bytes header length (little-endian), the JSON header, the data
 * section, which the tensors cover without overlap or hole.
 */
record SafetensorsFile(SortedMap<String, TensorEntry> entries, Map<String, String> metadata) {
  /** The format's own limit. */
  static final long LONGEST_HEADER = 100_000_000;

  static final int PREFIX = Long.BYTES;
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Maps and checks a file; the mapping lives as long as {@code arena}.
   *
   * @throws UserException if the file cannot be read or contradicts the format
   */
  static SafetensorsFile map(Path file, Arena arena) {
    MemorySegment all = mapBytes(file, arena);
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
    return new SafetensorsFile(entries, header.metadata());
  }

  /** All bytes of a regular file; symbolic links are followed. */
  static MemorySegment mapBytes(Path file, Arena arena) {
    if (Files.isDirectory(file)) {
      throw Problems.of(file, "is a folder; expected a file; name the model file in it");
    }
    // A pipe would block and a device has no size, so only plain files are opened.
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw Problems.of(file, "is not a regular file; expected a model file");
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (IOException e) {
      throw Problems.unreadable(file, e);
    }
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
