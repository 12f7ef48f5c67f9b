package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Archives whose directory lies, and older files whose parts do not fit. */
class HostileArchiveTest {
  private static final byte[] PICKLE =
      PickleBytes.tensor(6, 0, new long[] {2, 3}, new long[] {3, 1});

  @TempDir Path folder;

  static Stream<Arguments> hostile() {
    return Stream.of(endRecords(), entries(), names(), contents(), older()).flatMap(s -> s);
  }

  private static Stream<Arguments> endRecords() {
    ZipBytes zip = ZipBytes.sound();
    int end = zip.end();
    int end64 = zip.end64();
    return Stream.of(
        row("magic only", "PK\3\4".getBytes(StandardCharsets.US_ASCII), "has no end record"),
        row("magic and zeros", Arrays.copyOf(new byte[] {'P', 'K', 3, 4}, 4096), "no end record"),
        row("empty archive", new ZipBytes().bytes(), "without data.pkl"),
        row("bytes behind", Arrays.copyOf(sound().bytes(), zip.size() + 1), "has no end record"),
        row("comment too long", sound().put16(end + 20, 9), "has no end record"),
        row("entries of other disks", sound().put16(end + 8, 3), "spread over several files"),
        row("other disk", sound().put16(end + 4, 1), "spread over several files"),
        row("other disk in ZIP64", sound().put32(end64 + 16, 1), "spread over several files"),
        row("entry count of ZIP64", sound().put64(end64 + 24, 5), "spread over several files"),
        row("counts disagree", sound().put16(end + 8, 3).put16(end + 10, 3), "that disagree"),
        row("lengths disagree", sound().put32(end + 12, 100), "two end records that disagree"),
        row("offsets disagree", sound().put32(end + 16, 100), "two end records that disagree"),
        row("ZIP64 count huge", counts(1L << 40), "declares 1099511627776 entries"),
        row("ZIP64 count negative", counts(-1), "size of 18446744073709551615"),
        row("one entry more", counts(5), "declares 5 entries in 222 bytes"),
        row("one entry less", counts(3), "behind its last entry"),
        row("ZIP64 length huge", sound().put64(end64 + 40, 1L << 62), "is said to be 46116860184"),
        row("ZIP64 offset huge", sound().put64(end64 + 48, 1L << 62), "is said to be"),
        row("ZIP64 offset negative", sound().put64(end64 + 48, -8), "size of 18446744073709551608"),
        row("ZIP64 record length", sound().put64(end64 + 4, 1 << 20), "whose length is wrong"),
        row(
            "ZIP64 record elsewhere",
            sound().put64(end64 + 64, 0),
            "no ZIP64 end record at byte 0"),
        row("ZIP64 record beyond", sound().put64(end64 + 64, 1L << 62), "where none fits"),
        row("ZIP64 without locator", sound().put32(end64 + 56, 0).put32(end + 16, -1), "no ZIP64"),
        row("directory too late", sound().put32(end64 + 56, 0), "must end at byte"));
  }

  private static Stream<Arguments> entries() {
    int pickle = ZipBytes.sound().central(0);
    int storage = ZipBytes.sound().central(2);
    int local = ZipBytes.sound().local(2);
    int descriptor = local + 30 + "m/data/0".length() + 4 + 24;
    int large = ZipBytes.soundLarge().local(2) + descriptor - local;
    return Stream.of(
        row("no record", sound().put32(storage, 0), "no entry at its byte"),
        row("deflated", sound().put16(storage + 10, 8), "'m/data/0' is compressed (method 8)"),
        row("bzip2", sound().put16(pickle + 10, 12), "'m/data.pkl' is compressed (method 12)"),
        row("encrypted", sound().put16(storage + 8, 0x0809), "'m/data/0' is encrypted"),
        row("other flags", sound().put16(storage + 8, 0x0800), "described otherwise in its header"),
        row("size larger", sizes(storage, 25), "'m/data/0' has no data descriptor"),
        row("size smaller", sizes(storage, 20), "'m/data/0' has no data descriptor"),
        row("size huge", sizes(storage, 0x7fffffff), "declares 2147483647 bytes, but only"),
        row("zip bomb", sound().put32(storage + 24, 0x7fffffff), "declares 24 bytes for 21474"),
        row("ZIP64 size without field", sizes(storage, -1), "needs a ZIP64 field, but has none"),
        row("other disk", sound().put16(storage + 34, 1), "lies in another file"),
        row("offset zero", sound().put32(storage + 42, 0), "has another name in its header"),
        row("offset between", sound().put32(storage + 42, local + 1), "has no header at byte"),
        row("offset in the directory", sound().put32(storage + 42, pickle), "where no entry fits"),
        row("offset beyond", sound().put32(storage + 42, 0x7fffffff), "where no entry fits"),
        row("header elsewhere", sound().put32(local, 0), "'m/data/0' has no header at byte"),
        row("header's name", sound().put(local + 30, "m/data/1"), "another name in its header"),
        row("header's method", sound().put16(local + 8, 8), "described otherwise in its header"),
        row("header's flags", sound().put16(local + 6, 0x0800), "described otherwise in its head"),
        row(
            "header's sizes",
            sound().put16(local + 6, 0).put16(storage + 8, 0).put32(local + 22, 23),
            "described otherwise in its header"),
        row("header's extra field", sound().put16(local + 28, 0xffff), "asks for 65535 bytes"),
        row("header's name length", sound().put16(local + 26, 0xffff), "asks for 65535 bytes"),
        row("descriptor gone", sound().put32(descriptor, 0), "has no data descriptor"),
        row("descriptor's packed", sound().put32(descriptor + 8, 23), "otherwise behind its bytes"),
        row("descriptor's size", sound().put32(descriptor + 12, 23), "otherwise behind its bytes"),
        row("64-bit packed", large().put64(large + 8, 23), "is described otherwise behind"),
        row("64-bit size", large().put64(large + 16, 23), "is described otherwise behind"),
        row("64-bit packed's top", large().put32(large + 12, 1), "is described otherwise behind"),
        row("64-bit size's top", large().put32(large + 20, 1), "is described otherwise behind"),
        row("name too long", sound().put16(storage + 28, 0xffff), "a name of 65535 bytes"),
        row(
            "name cut",
            sound().put16(storage + 28, 7),
            "'m/data/' has a name that is no plain path"),
        row("extra too long", sound().put16(storage + 30, 0xffff), "asks for 65535 bytes"),
        row("comment too long", sound().put16(storage + 32, 0xffff), "asks for 65535 bytes"),
        row("same entry twice", twice(), "the zip entry 'm/data/0' appears twice"),
        row("overlapping entries", overlapping(), "overlaps entry"));
  }

  private static Stream<Arguments> names() {
    return Stream.of(
            "m/../data/0",
            "../m/data.pkl",
            "/m/data.pkl",
            "m//data.pkl",
            "m/./data.pkl",
            "m\\data.pkl",
            "m/data/",
            "m/\ndata",
            "..",
            "")
        .map(name ->
            row(
                "name " + name,
                ZipBytes.torch(PICKLE, 24).add(name, "x"),
                "has a name that is no plain path; refused"));
  }

  private static Stream<Arguments> contents() {
    return Stream.of(
        row("two folders", ZipBytes.torch(PICKLE, 24).add("n/x", "x"), "outside the one folder"),
        row("no folder", ZipBytes.torch(PICKLE, 24).add("x", "x"), "outside the one folder"),
        row("no pickle", new ZipBytes().add("m/version", "3"), "zip archive without data.pkl"),
        row("no storage", new ZipBytes().add("m/data.pkl", PICKLE), "storage 'data/0', not there"),
        row("storage too short", ZipBytes.torch(PICKLE, 20), "of 20 bytes, but its tensors expect"),
        row("storage too long", ZipBytes.torch(PICKLE, 28), "of 28 bytes, but its tensors expect"),
        row("storage empty", ZipBytes.torch(PICKLE, 0), "of 0 bytes, but its tensors expect 24"),
        row("big-endian", note("byteorder", "big"), "the byte order 'big'; expected 'little'"),
        row("unknown byte order", note("byteorder", "l\u001b"), "the byte order 'l\\u001b'"),
        row("long byte order", note("byteorder", "x".repeat(1000)), "a byteorder of 1000 bytes"),
        row("version 11", note("version", "11\n"), "the version '11'; expected 1 to 10"),
        row("version -1", note("version", "-1"), "the version '-1'; expected 1 to 10"),
        row("version huge", note("version", "99999999999999"), "the version '99999999999999'"),
        row("pickle empty", ZipBytes.torch(new byte[0], 24), "data.pkl asks for 1 bytes at byte 0"),
        row(
            "pickle with a tail",
            ZipBytes.torch(Arrays.copyOf(PICKLE, PICKLE.length + 3), 24),
            "data.pkl has 3 bytes behind its end"),
        row("what a zip tool writes", deflated(), "'m/data.pkl' is compressed (method 8)"));
  }

  private static Stream<Arguments> older() {
    byte[] magic = LegacyBytes.MAGIC;
    byte[] sound = LegacyBytes.of(PICKLE, 6, 24);
    byte[] wrongMagic = sound.clone();
    wrongMagic[5] ^= 1;
    byte[] wrongProtocol = sound.clone();
    wrongProtocol[magic.length + 3] ^= 1;
    return Stream.of(
        row("magic alone", magic, "asks for 1 bytes at byte 15"),
        row("wrong magic", wrongMagic, "a pickle without the magic number of torch.save"),
        row("wrong protocol", wrongProtocol, "a protocol other than 1001"),
        row(
            "bare pickle",
            PickleBytes.of(p -> p.global("os", "system")),
            "the pickle names os.system; refused"),
        row(
            "bare pickle of data",
            PickleBytes.of(p -> p.raw('}').text("some key").raw('N', 's')),
            "a pickle without the magic number"),
        row("big-endian", LegacyBytes.of(PICKLE, false, 6, 24), "not saved on a little-endian"),
        row("fewer elements", LegacyBytes.of(PICKLE, 5, 20), "of 5 elements, but its tensors"),
        row("more elements", LegacyBytes.of(PICKLE, 7, 28), "of 7 elements, but its tensors"),
        row("negative elements", LegacyBytes.of(PICKLE, -1, 24), "size of 18446744073709551615"),
        row("storage cut", LegacyBytes.of(PICKLE, 6, 23), "asks for 24 bytes"),
        row("tail", LegacyBytes.of(PICKLE, 6, 25), "has 1 bytes behind its last storage"),
        row(
            "no notes on the system",
            new Joined(magic, PickleBytes.of(p -> p.raw('M', 0xe9, 3)))
                .and(PickleBytes.of(p -> p.raw('N')))
                .bytes(),
            "not saved on a little-endian machine"),
        row("unknown storage", keys(p -> p.raw(']').text("9").raw('a')), "one that no tensor has"),
        row("keys no text", keys(p -> p.raw(']', 'N', 'a')), "one that no tensor has"),
        row("no keys", keys(p -> p.raw(']')), "has a storage that the file does not hold"),
        row("keys no list", keys(p -> p.raw('N')), "has no list of storages"),
        row(
            "piece outside its storage",
            LegacyBytes.of(piece(4, 3), 6, 24),
            "a piece that lies outside its storage '0'"),
        row("negative piece", LegacyBytes.of(piece(-1, 3), 6, 24), "lies outside its storage"),
        row("view beyond its piece", LegacyBytes.of(piece(1, 1), 6, 24), "reaches element 1"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("hostile")
  void refusesInOneLine(String label, byte[] bytes, String words) {
    Path file = TestFiles.write(folder.resolve("m.pth"), bytes);
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Checkpoints.open(file).close());
    assertThat(refusal).as(label).isNotNull();
    assertThat(refusal).as(label).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, file);
  }

  @Test
  void theTableIsLong() {
    assertThat(hostile().count()).isGreaterThanOrEqualTo(80);
  }

  @Test
  void theUnalteredFilesOpen() {
    Path zip = TestFiles.write(folder.resolve("zip"), sound().bytes());
    Path large = TestFiles.write(folder.resolve("large"), large().bytes());
    Path older = TestFiles.write(folder.resolve("older"), LegacyBytes.of(PICKLE, 6, 24));
    Path piece = TestFiles.write(folder.resolve("piece"), LegacyBytes.of(piece(3, 2), 6, 24));
    for (Path file : new Path[] {zip, large, older, piece}) {
      try (Checkpoint checkpoint = Checkpoints.open(file)) {
        assertThat(checkpoint.names()).containsExactly("w");
      }
    }
  }

  /** Cuts of files by PyTorch itself: none opens, none breaks the reader. */
  @ParameterizedTest
  @ValueSource(strings = {"wrapped.pth", "wrapped_legacy.pth"})
  void refusesTruncations(String name) throws IOException {
    byte[] whole = Files.readAllBytes(TestFiles.fixture(name));
    Path file = folder.resolve("cut.pth");
    for (int length = 0; length < whole.length; length += 7) {
      TestFiles.write(file, Arrays.copyOf(whole, length));
      UserException refusal =
          catchThrowableOfType(UserException.class, () -> Checkpoints.open(file).close());
      assertThat(refusal).as("cut at %d", length).isNotNull();
      TestFiles.assertOneLine(refusal, file);
    }
  }

  @Test
  void namesIndexAndShard() {
    Path index = folder.resolve("pytorch_model.bin.index.json");
    TestFiles.write(folder.resolve("one.bin"), sound().bytes());
    assertIndexRefused(index, "\"w\":\"two.bin\"", "names the shard 'two.bin', which is missing");
    assertIndexRefused(
        index,
        "\"w\":\"one.bin\",\"v\":\"one.bin\"",
        "lists the tensor 'v', which is not in its shard 'one.bin'");
    assertIndexRefused(
        index,
        "\"v\":\"one.bin\"",
        "does not list the tensor 'w', which is in the shard 'one.bin'");
    assertIndexRefused(index, "\"w\":\"../one.bin\"", "expected the name of a file beside");
  }

  private static void assertIndexRefused(Path index, String map, String words) {
    TestFiles.write(index, ("{\"weight_map\":{" + map + "}}").getBytes(StandardCharsets.US_ASCII));
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Checkpoints.open(index).close());
    assertThat(refusal).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, index);
  }

  private static ZipBytes sound() {
    return ZipBytes.sound().close();
  }

  private static ZipBytes large() {
    return ZipBytes.soundLarge().close();
  }

  private static ZipBytes counts(long count) {
    ZipBytes zip = ZipBytes.sound();
    int small = count < 0 || count > 0xffff ? 0xffff : (int) count;
    return zip.put16(zip.end() + 8, small)
        .put16(zip.end() + 10, small)
        .put64(zip.end64() + 24, count)
        .put64(zip.end64() + 32, count);
  }

  private static ZipBytes sizes(int central, int size) {
    return sound().put32(central + 20, size).put32(central + 24, size);
  }

  private static ZipBytes twice() {
    return ZipBytes.torch(PICKLE, 24).add("m/data/0", new byte[24]);
  }

  /** The second entry's header lies within the first one's bytes. */
  private static ZipBytes overlapping() {
    byte[] inner = Arrays.copyOf(new ZipBytes().add("m/data/1", new byte[24]).bytes(), 82);
    ZipBytes zip =
        new ZipBytes()
            .add("m/data.pkl", PICKLE)
            .add("m/data/0", inner)
            .add("m/data/1", new byte[24]);
    return zip.put32(zip.central(2) + 42, zip.local(1) + 30 + 8 + 4);
  }

  private static ZipBytes note(String name, String text) {
    return new ZipBytes()
        .add("m/data.pkl", PICKLE)
        .add("m/data/0", new byte[24])
        .add("m/" + name, text);
  }

  private static byte[] deflated() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(out)) {
      zip.putNextEntry(new ZipEntry("m/data.pkl"));
      zip.write(new byte[1 << 20]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  /** A tensor of two elements over a piece of the storage "0" of six. */
  private static byte[] piece(long first, long length) {
    return PickleBytes.of(p ->
        p.raw('}')
            .text("w")
            .global("torch._utils", "_rebuild_tensor_v2")
            .raw('(', '(')
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .whole(6)
            .raw('(')
            .text("view")
            .whole(first)
            .whole(length)
            .raw('t', 't', 'Q')
            .whole(0)
            .wholes(2)
            .wholes(1)
            .raw(0x89, '}', 't', 'R', 's'));
  }

  private static byte[] keys(Consumer<PickleBytes> keys) {
    byte[] sound = LegacyBytes.of(PICKLE, 6, 24);
    int list = PickleBytes.of(p -> p.raw(']').text("0").raw('a')).length;
    byte[] before = Arrays.copyOf(sound, sound.length - 24 - 8 - list);
    return new Joined(before, PickleBytes.of(keys)).bytes();
  }

  private record Joined(byte[]... parts) {
    Joined and(byte[] part) {
      byte[][] more = Arrays.copyOf(parts, parts.length + 1);
      more[parts.length] = part;
      return new Joined(more);
    }

    byte[] bytes() {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      for (byte[] part : parts) {
        out.writeBytes(part);
      }
      return out.toByteArray();
    }
  }

  private static Arguments row(String label, ZipBytes zip, String words) {
    return row(label, zip.bytes(), words);
  }

  private static Arguments row(String label, byte[] bytes, String words) {
    return Arguments.of(label, bytes, words);
  }
}
