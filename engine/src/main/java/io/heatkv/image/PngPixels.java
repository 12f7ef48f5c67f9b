package io.heatkv.image;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.Adler32;
import java.util.zip.Deflater;

/**
 * Pixels as the zlib stream of a PNG file (PNG specification, sections 9 and 10), by all cores as
 * in <a href="https://zlib.net/pigz/">pigz</a>: parts of a fixed size are compressed side by side,
 * each with the end of the one before as its dictionary. The bytes don't depend on the number of
 * cores. Noise has no repetitions worth a search: parts of which a sample gets smaller by Huffman's
 * code alone are coded so.
 */
final class PngPixels {
  private static final int LEVEL = 4;

  /** Deflate with a window of 32 KiB, fast (RFC 1950); the last bits are a check of the others. */
  private static final short HEADER = 0x785E;

  private static final int WINDOW = 32 << 10;
  private static final int PART = 256 << 10;
  private static final int SAMPLE = 16 << 10;
  private static final int PIECE = 16 << 10;
  private static final int ROWS_AT_ONCE = 16;
  private static final int CHANNELS = 3;

  private static final int SUB = 1;
  private static final int UP = 2;
  private static final int AVERAGE = 3;

  private final byte[] rgb;
  private final int stride;
  private final byte[] filtered;

  private PngPixels(int width, int height, byte[] rgb) {
    this.rgb = rgb;
    stride = CHANNELS * width;
    filtered = new byte[Math.multiplyExact(height, stride + 1)];
    IntStream.range(0, Math.ceilDiv(height, ROWS_AT_ONCE))
        .parallel()
        .forEach(i -> filter(i * ROWS_AT_ONCE, Math.min(height, (i + 1) * ROWS_AT_ONCE)));
  }

  /**
   * The stream.
   *
   * @param rgb {@code [height, width, 3]}, row-major
   */
  static byte[] compress(int width, int height, byte[] rgb) {
    return new PngPixels(width, height, rgb).stream();
  }

  private byte[] stream() {
    List<byte[]> parts =
        IntStream.range(0, Math.ceilDiv(filtered.length, PART))
            .parallel()
            .mapToObj(i -> deflate(i * PART))
            .toList();
    Adler32 check = new Adler32();
    check.update(filtered);
    int length = parts.stream().mapToInt(p -> p.length).reduce(6, Math::addExact);
    ByteBuffer stream = ByteBuffer.allocate(length).putShort(HEADER);
    parts.forEach(stream::put);
    return stream.putInt((int) check.getValue()).array();
  }

  private byte[] deflate(int from) {
    int length = Math.min(PART, filtered.length - from);
    int sample = Math.min(SAMPLE, length);
    int middle = from + (length - sample) / 2;
    byte[] searched = deflate(middle, sample, Deflater.DEFAULT_STRATEGY);
    byte[] coded = deflate(middle, sample, Deflater.HUFFMAN_ONLY);
    boolean noisy = coded.length < searched.length;
    return deflate(from, length, noisy ? Deflater.HUFFMAN_ONLY : Deflater.DEFAULT_STRATEGY);
  }

  private byte[] deflate(int from, int length, int strategy) {
    boolean last = from + length == filtered.length;
    try (Deflater deflater = new Deflater(LEVEL, true)) {
      deflater.setStrategy(strategy);
      int before = Math.min(from, WINDOW);
      deflater.setDictionary(filtered, from - before, before);
      deflater.setInput(filtered, from, length);
      if (last) {
        deflater.finish();
      }
      ByteArrayOutputStream part = new ByteArrayOutputStream(length);
      byte[] piece = new byte[PIECE];
      int written;
      do {
        written = deflater.deflate(piece, 0, PIECE, last ? Deflater.NO_FLUSH : Deflater.SYNC_FLUSH);
        part.write(piece, 0, written);
        // The first call may only take in the strategy; a piece that is full may not be all.
      } while (last ? !deflater.finished() : !deflater.needsInput() || written == PIECE);
      return part.toByteArray();
    }
  }

  private void filter(int firstRow, int endRow) {
    byte[] none = new byte[stride];
    for (int y = firstRow; y < endRow; y++) {
      if (y == 0) {
        filterRow(0, none, 0);
      } else {
        filterRow(y, rgb, (y - 1) * stride);
      }
    }
  }

  /** Paeth, the filter left out, would take as long as all the rest and gains at most 4 %. */
  private void filterRow(int y, byte[] above, int aboveAt) {
    int at = y * stride;
    int to = at + y;
    int filter = choose(at, above, aboveAt);
    filtered[to++] = (byte) filter;
    for (int i = 0; i < CHANNELS; i++) {
      int up = above[aboveAt + i] & 0xFF;
      filtered[to + i] = (byte) (rgb[at + i] - (filter == SUB ? 0 : filter == UP ? up : up / 2));
    }
    switch (filter) {
      case SUB -> sub(at, to);
      case UP -> up(at, above, aboveAt, to);
      default -> average(at, above, aboveAt, to);
    }
  }

  /** The least sum of magnitudes (PNG specification, section 12.7), of every fourth value. */
  private int choose(int at, byte[] above, int aboveAt) {
    int sub = 0;
    int up = 0;
    int average = 0;
    for (int i = CHANNELS; i < stride; i += 4) {
      int value = rgb[at + i];
      int left = rgb[at + i - CHANNELS] & 0xFF;
      int over = above[aboveAt + i] & 0xFF;
      sub += Math.abs((byte) (value - left));
      up += Math.abs((byte) (value - over));
      average += Math.abs((byte) (value - ((left + over) >> 1)));
    }
    return up <= sub && up <= average ? UP : sub <= average ? SUB : AVERAGE;
  }

  private void sub(int at, int to) {
    for (int i = CHANNELS; i < stride; i++) {
      filtered[to + i] = (byte) (rgb[at + i] - rgb[at + i - CHANNELS]);
    }
  }

  private void up(int at, byte[] above, int aboveAt, int to) {
    for (int i = CHANNELS; i < stride; i++) {
      filtered[to + i] = (byte) (rgb[at + i] - above[aboveAt + i]);
    }
  }

  private void average(int at, byte[] above, int aboveAt, int to) {
    for (int i = CHANNELS; i < stride; i++) {
      int left = rgb[at + i - CHANNELS] & 0xFF;
      filtered[to + i] = (byte) (rgb[at + i] - ((left + (above[aboveAt + i] & 0xFF)) >> 1));
    }
  }
}
