package io.heatkv.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.error.UserException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Writes safetensors files. The same input gives the same bytes: tensors lie by element size,
 * largest first, then by name, so that each is aligned, and the header is padded with spaces to 8
 * bytes.
 */
public final class SafetensorsWriter {
  private static final JsonFactory FACTORY = new JsonFactory();
  private static final long LARGEST_PIECE = 1L << 24;

  private SafetensorsWriter() {}

  /**
   * Gives a tensor's elements, row-major and little-endian, in as many pieces as it likes; asked
   * once, when their turn comes, so that not all need be in memory together. A piece is written
   * before the call returns.
   */
  public interface Content {
    void writeTo(Consumer<MemorySegment> sink);
  }

  /** A tensor to write. */
  public record Item(String name, StorageType dtype, long[] shape, Content content) {
    public Item {
      shape = shape.clone();
    }

    /** A tensor in one piece, asked for once when its turn comes. */
    public Item(String name, StorageType dtype, long[] shape, Supplier<MemorySegment> bytes) {
      this(name, dtype, shape, sink -> sink.accept(bytes.get()));
    }

    /** The same tensor as an opened checkpoint's. */
    public static Item of(TensorEntry entry) {
      return new Item(entry.name(), entry.dtype(), entry.shape(), entry::bytes);
    }

    @Override
    public long[] shape() {
      return shape.clone();
    }

    long byteSize() {
      return dtype.bytesOf(shape);
    }
  }

  /**
   * Writes a file, at first beside the target under another name, so that the target is either
   * whole or untouched.
   *
   * @return the file's SHA-256, in hexadecimal digits
   * @throws UserException if the target cannot be written
   * @throws IllegalArgumentException if a name appears twice, is {@code __metadata__} or no
   *     Unicode, or a tensor's bytes do not fit its shape
   */
  public static String write(Path target, List<Item> items, Map<String, String> metadata) {
    List<Item> ordered = order(items);
    byte[] header = header(ordered, metadata);
    if (Files.isDirectory(target)) {
      throw Problems.of(target, "is a folder; expected the name of a file to write");
    }
    Path temporary = target.resolveSibling(".heatkv-" + UUID.randomUUID() + ".tmp");
    try {
      String digest;
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        Output output = new Output(channel);
        output.accept(MemorySegment.ofArray(header));
        for (Item item : ordered) {
          writeTensor(output, item);
        }
        channel.force(true);
        digest = output.digest();
      }
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      return digest;
    } catch (UncheckedIOException e) {
      throw Problems.unwritable(target, Objects.requireNonNull(e.getCause()));
    } catch (IOException e) {
      throw Problems.unwritable(target, e);
    } finally {
      deleteQuietly(temporary);
    }
  }

  private static List<Item> order(List<Item> items) {
    Set<String> names = new HashSet<>();
    for (Item item : items) {
      if (item.name().equals(SafetensorsHeader.METADATA) || !names.add(item.name())) {
        throw new IllegalArgumentException("name taken: " + item.name());
      }
      checkUnicode(item.name());
    }
    return items.stream()
        .sorted(
            Comparator.comparingInt((Item i) -> -i.dtype().byteSize()).thenComparing(Item::name))
        .toList();
  }

  /** Length prefix and padded JSON. */
  private static byte[] header(List<Item> items, Map<String, String> metadata) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[SafetensorsFile.PREFIX]);
    try (JsonGenerator json = FACTORY.createGenerator(out)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(SafetensorsHeader.METADATA);
        for (Map.Entry<String, String> note : new TreeMap<>(metadata).entrySet()) {
          checkUnicode(note.getKey());
          checkUnicode(note.getValue());
          json.writeStringField(note.getKey(), note.getValue());
        }
        json.writeEndObject();
      }
      long begin = 0;
      for (Item item : items) {
        long end = Math.addExact(begin, item.byteSize());
        json.writeObjectFieldStart(item.name());
        json.writeStringField("dtype", item.dtype().name());
        writeLongs(json, "shape", item.shape());
        writeLongs(json, "data_offsets", begin, end);
        json.writeEndObject();
        begin = end;
      }
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory cannot fail", e);
    }
    while (out.size() % Long.BYTES != 0) {
      out.write(' ');
    }
    byte[] bytes = out.toByteArray();
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(0, bytes.length - SafetensorsFile.PREFIX);
    return bytes;
  }

  private static void checkUnicode(String text) {
    if (!StrictJson.isUnicode(text)) {
      throw new IllegalArgumentException("not valid Unicode: " + Problems.quote(text));
    }
  }

  private static void writeLongs(JsonGenerator json, String field, long... values)
      throws IOException {
    json.writeFieldName(field);
    json.writeArray(values, 0, values.length);
  }

  private static void writeTensor(Output output, Item item) {
    long before = output.written;
    item.content().writeTo(output);
    long written = output.written - before;
    if (written != item.byteSize()) {
      throw new IllegalArgumentException(
          item.name()
              + ": "
              + written
              + " bytes do not fit "
              + item.dtype()
              + Arrays.toString(item.shape()));
    }
  }

  /** Writes pieces one after another and digests them on the way. */
  private static final class Output implements Consumer<MemorySegment> {
    private final FileChannel channel;
    private final MessageDigest sha256 = Fingerprint.sha256();
    private long written;

    Output(FileChannel channel) {
      this.channel = channel;
    }

    @Override
    public void accept(MemorySegment bytes) {
      // A byte buffer holds no more than 2 GiB, so a large piece goes out in smaller ones.
      for (long at = 0; at < bytes.byteSize(); at += LARGEST_PIECE) {
        long length = Math.min(LARGEST_PIECE, bytes.byteSize() - at);
        ByteBuffer buffer = bytes.asSlice(at, length).asByteBuffer();
        sha256.update(buffer.duplicate());
        try {
          while (buffer.hasRemaining()) {
            channel.write(buffer);
          }
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
        written += length;
      }
    }

    String digest() {
      return HexFormat.of().formatHex(sha256.digest());
    }
  }

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException _) {
      // The failure that brought us here is the one to report.
    }
  }
}
