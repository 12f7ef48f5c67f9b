package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * Where a zip archive's central directory lies, after its end record or, where that has one, its
 * ZIP64 end record.
 *
 * @param offset first byte of the directory; the entries lie before it
 * @param length bytes of the directory
 * @param count entries
 */
record ZipDirectory(long offset, long length, long count) {
  private static final int END = 0x06054b50;
  private static final int END_BYTES = 22;
  private static final int LOCATOR = 0x07064b50;
  private static final int LOCATOR_BYTES = 20;
  private static final int END_64 = 0x06064b50;
  private static final int END_64_BYTES = 56;
  private static final int LONGEST_COMMENT = 0xFFFF;
  private static final long FULL_32 = 0xFFFFFFFFL;
  private static final long FULL_16 = 0xFFFF;

  /**
   * Finds the directory of {@code all}.
   *
   * @throws UserException if there is none, or the end records contradict the file or each other
   */
  static ZipDirectory find(Path file, MemorySegment all) {
    long end = findEnd(file, all);
    Cursor in = cursor(file, all, end, END_BYTES);
    in.i32();
    // The numbers of this disk and of the directory's, read as one.
    boolean oneDisk = in.i32() == 0;
    long countHere = in.u16();
    ZipDirectory small = read(in.u16(), in.u32(), in.u32());
    boolean full = small.count == FULL_16 || small.length == FULL_32 || small.offset == FULL_32;
    long locator = end - LOCATOR_BYTES;
    boolean located = locator >= 0 && cursor(file, all, locator, LOCATOR_BYTES).i32() == LOCATOR;
    if (full && !located) {
      throw lies(file, "is one of ZIP64, but has no ZIP64 locator");
    }
    if (!oneDisk || countHere != small.count) {
      throw lies(file, "is spread over several files");
    }
    if (!located) {
      return small.checked(file, end);
    }
    ZipDirectory large = readLarge(file, all, locator);
    if (!agrees(small.count, FULL_16, large.count)
        || !agrees(small.length, FULL_32, large.length)
        || !agrees(small.offset, FULL_32, large.offset)) {
      throw lies(file, "has two end records that disagree");
    }
    return large;
  }

  private static long findEnd(Path file, MemorySegment all) {
    long last = all.byteSize() - END_BYTES;
    for (long at = last; at >= Math.max(0, last - LONGEST_COMMENT); at--) {
      Cursor in = cursor(file, all, at, END_BYTES);
      if (in.i32() == END) {
        in.take(END_BYTES - 6);
        if (in.u16() == last - at) {
          return at;
        }
      }
    }
    throw lies(file, "has no end record; the file is cut short");
  }

  private static ZipDirectory readLarge(Path file, MemorySegment all, long locator) {
    Cursor place = cursor(file, all, locator, LOCATOR_BYTES);
    place.i32();
    long disk = place.u32();
    long end = place.size();
    if (disk != 0 || place.u32() > 1) {
      throw lies(file, "is spread over several files");
    }
    if (end > locator - END_64_BYTES) {
      throw lies(file, "has its ZIP64 end record at byte " + end + ", where none fits");
    }
    Cursor in = cursor(file, all, end, END_64_BYTES);
    if (in.i32() != END_64) {
      throw lies(file, "has no ZIP64 end record at byte " + end);
    }
    if (in.size() != locator - end - 12) {
      throw lies(file, "has a ZIP64 end record whose length is wrong");
    }
    in.i32();
    boolean oneDisk = in.i64() == 0;
    long countHere = in.size();
    ZipDirectory large = read(in.size(), in.size(), in.size());
    if (!oneDisk || countHere != large.count) {
      throw lies(file, "is spread over several files");
    }
    return large.checked(file, end);
  }

  /** In the order of the records. */
  private static ZipDirectory read(long count, long length, long offset) {
    return new ZipDirectory(offset, length, count);
  }

  private static boolean agrees(long small, long full, long large) {
    return small == full || small == large;
  }

  /** The directory must fill the space up to its end record exactly. */
  private ZipDirectory checked(Path file, long end) {
    if (offset > end || length != end - offset) {
      throw lies(
          file,
          "is said to be " + length + " bytes at byte " + offset + ", but must end at byte " + end);
    }
    return this;
  }

  private static Cursor cursor(Path file, MemorySegment all, long at, long length) {
    return new Cursor(file, "the zip end record", all.asSlice(at, length));
  }

  private static UserException lies(Path file, String text) {
    return Problems.damaged(file, "the zip directory " + text);
  }
}
