package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The entries of a zip archive as torch.save lays it out: all uncompressed, below one folder. The
 * directory is believed only where the local headers say the same and no two entries share a byte.
 * Checksums are not compared, since torch.save may leave them out.
 *
 * @param entries views of the mapped file by name, without the folder's
 */
record ZipArchive(Map<String, MemorySegment> entries) {
  private static final int CENTRAL = 0x02014b50;
  private static final int LOCAL = 0x04034b50;
  private static final int DESCRIPTOR = 0x08074b50;
  private static final int LOCAL_BYTES = 30;
  private static final int CENTRAL_BYTES = 46;
  private static final int MOST_ENTRIES = 100_000;
  private static final int LONGEST_NAME = 512;
  private static final int ENCRYPTED = 1;
  private static final int HAS_DESCRIPTOR = 8;
  private static final int ZIP_64 = 1;
  private static final long FULL = 0xFFFFFFFFL;

  /** What the directory says of an entry. */
  private record Listed(String name, int flags, long size, long offset) {}

  /** What an entry's two headers, in the directory and before its bytes, have in common. */
  private record Header(
      int flags, int method, long packed, long size, int nameLength, int extraLength) {
    /** From the flags on; time and checksum are passed over. */
    static Header read(Cursor in) {
      int flags = in.u16();
      int method = in.u16();
      in.take(8);
      return new Header(flags, method, in.u32(), in.u32(), in.u16(), in.u16());
    }
  }

  /** The bytes of a file that an entry takes, headers included. */
  private record Span(String name, long begin, long end) {}

  /**
   * Reads and checks all entries.
   *
   * @throws UserException if an entry is compressed, lies outside the file, overlaps another, is
   *     there twice, has a name that reaches elsewhere, or its header contradicts the directory
   */
  static ZipArchive read(Path file, MemorySegment all) {
    ZipDirectory directory = ZipDirectory.find(file, all);
    if (directory.count() > MOST_ENTRIES
        || directory.count() > directory.length() / CENTRAL_BYTES) {
      throw Problems.damaged(
          file,
          "the zip directory declares "
              + directory.count()
              + " entries in "
              + directory.length()
              + " bytes; expected at most "
              + MOST_ENTRIES);
    }
    Cursor in =
        new Cursor(file, "the zip directory", all.asSlice(directory.offset(), directory.length()));
    MemorySegment body = all.asSlice(0, directory.offset());
    Map<String, MemorySegment> entries = new TreeMap<>();
    List<Span> spans = new ArrayList<>();
    for (long i = 0; i < directory.count(); i++) {
      Listed listed = readListed(file, in);
      if (entries.put(listed.name, locate(file, body, listed, spans)) != null) {
        throw damaged(file, listed.name, "appears twice");
      }
    }
    if (in.remaining() > 0) {
      throw Problems.damaged(
          file, "the zip directory has " + in.remaining() + " bytes behind its last entry");
    }
    checkApart(file, spans);
    return new ZipArchive(withoutFolder(file, entries));
  }

  Optional<MemorySegment> find(String name) {
    return Optional.ofNullable(entries.get(name));
  }

  private static Listed readListed(Path file, Cursor in) {
    if (in.i32() != CENTRAL) {
      throw Problems.damaged(
          file, "the zip directory has no entry at its byte " + (in.position() - 4));
    }
    in.i32();
    Header header = Header.read(in);
    int commentLength = in.u16();
    int disk = in.u16();
    in.take(6);
    long offset = in.u32();
    if (header.nameLength > LONGEST_NAME) {
      throw Problems.damaged(
          file,
          "the zip directory has a name of "
              + header.nameLength
              + " bytes; at most "
              + LONGEST_NAME);
    }
    String name = in.text(header.nameLength);
    checkName(file, name);
    Cursor extra = new Cursor(file, "the zip directory's extra field", in.take(header.extraLength));
    in.take(commentLength);
    long packed = header.packed;
    long size = header.size;
    if (packed == FULL || size == FULL || offset == FULL) {
      Cursor large = findZip64(file, name, extra);
      size = size == FULL ? large.size() : size;
      packed = packed == FULL ? large.size() : packed;
      offset = offset == FULL ? large.size() : offset;
    }
    if ((header.flags & ENCRYPTED) != 0) {
      throw damaged(file, name, "is encrypted");
    }
    if (header.method != 0) {
      throw damaged(
          file,
          name,
          "is compressed (method "
              + header.method
              + "); expected only stored entries, as torch.save writes them");
    }
    if (packed != size) {
      throw damaged(file, name, "is stored, but declares " + packed + " bytes for " + size);
    }
    if (disk != 0) {
      throw damaged(file, name, "lies in another file");
    }
    return new Listed(name, header.flags, size, offset);
  }

  private static Cursor findZip64(Path file, String name, Cursor extra) {
    while (extra.remaining() > 0) {
      int id = extra.u16();
      MemorySegment content = extra.take(extra.u16());
      if (id == ZIP_64) {
        return new Cursor(file, "the ZIP64 field of " + Problems.quote(name), content);
      }
    }
    throw damaged(file, name, "needs a ZIP64 field, but has none");
  }

  /** The entry's bytes, once its local header has confirmed them. */
  private static MemorySegment locate(
      Path file, MemorySegment body, Listed listed, List<Span> spans) {
    String name = listed.name;
    if (listed.offset > body.byteSize() - LOCAL_BYTES) {
      throw damaged(file, name, "begins at byte " + listed.offset + ", where no entry fits");
    }
    Cursor in =
        new Cursor(file, "the header of " + Problems.quote(name), body.asSlice(listed.offset));
    if (in.i32() != LOCAL) {
      throw damaged(file, name, "has no header at byte " + listed.offset);
    }
    in.u16();
    Header header = Header.read(in);
    if (!in.text(header.nameLength).equals(name)) {
      throw damaged(file, name, "has another name in its header");
    }
    boolean described = (header.flags & HAS_DESCRIPTOR) != 0;
    if (header.method != 0
        || header.flags != listed.flags
        || (!described
            && (differs(header.packed, listed.size) || differs(header.size, listed.size)))) {
      throw damaged(file, name, "is described otherwise in its header than in the directory");
    }
    in.take(header.extraLength);
    if (listed.size > in.remaining()) {
      throw damaged(
          file,
          name,
          "declares " + listed.size + " bytes, but only " + in.remaining() + " follow its header");
    }
    MemorySegment bytes = in.take(listed.size);
    // torch.save leaves the descriptor of an empty entry out.
    if (described && listed.size > 0) {
      checkDescriptor(file, listed, in);
    }
    spans.add(new Span(name, listed.offset, listed.offset + in.position()));
    return bytes;
  }

  private static boolean differs(long local, long size) {
    return local != size && local != FULL;
  }

  /** Sizes once more behind the data, of 32 bits, or of 64 in large archives. */
  private static void checkDescriptor(Path file, Listed listed, Cursor in) {
    if (in.i32() != DESCRIPTOR) {
      throw damaged(file, listed.name, "has no data descriptor behind its bytes");
    }
    in.i32();
    long packed = in.u32();
    long size = in.u32();
    if (packed == listed.size && size == listed.size) {
      return;
    }
    long large = size << 32 | packed;
    if (large != listed.size || in.size() != listed.size) {
      throw damaged(file, listed.name, "is described otherwise behind its bytes");
    }
  }

  private static void checkApart(Path file, List<Span> spans) {
    spans.sort(Comparator.comparingLong(Span::begin));
    for (int i = 1; i < spans.size(); i++) {
      Span before = spans.get(i - 1);
      if (spans.get(i).begin < before.end) {
        throw damaged(file, spans.get(i).name, "overlaps entry " + Problems.quote(before.name));
      }
    }
  }

  /** Nothing is ever unpacked, yet a name that reaches elsewhere betrays a hostile file. */
  private static void checkName(Path file, String name) {
    boolean plain = name.chars().noneMatch(c -> c == '\\' || c < ' ');
    for (String part : name.split("/", -1)) {
      plain &= !part.isEmpty() && !part.equals(".") && !part.equals("..");
    }
    if (!plain) {
      throw damaged(file, name, "has a name that is no plain path; refused");
    }
  }

  private static Map<String, MemorySegment> withoutFolder(
      Path file, Map<String, MemorySegment> entries) {
    Map<String, MemorySegment> inner = new TreeMap<>();
    String folder = null;
    for (Map.Entry<String, MemorySegment> entry : entries.entrySet()) {
      String name = entry.getKey();
      String parent = name.substring(0, name.indexOf('/') + 1);
      if (parent.isEmpty() || (folder != null && !parent.equals(folder))) {
        throw damaged(file, name, "lies outside the one folder that torch.save writes");
      }
      folder = parent;
      inner.put(name.substring(parent.length()), entry.getValue());
    }
    return inner;
  }

  private static UserException damaged(Path file, String name, String text) {
    return Problems.damaged(file, "the zip entry " + Problems.quote(name) + " " + text);
  }
}
