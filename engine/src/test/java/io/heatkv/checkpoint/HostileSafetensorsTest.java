package io.heatkv.checkpoint;

import static io.heatkv.checkpoint.TestFiles.declaring;
import static io.heatkv.checkpoint.TestFiles.safetensors;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class HostileSafetensorsTest {
  @TempDir Path folder;

  static Stream<Arguments> broken() {
    String good = tensor("a", "F32", "[2]", "[0,8]");
    return Stream.of(
        row("empty file", new byte[0], "is 0 bytes long"),
        row("seven bytes", new byte[7], "is 7 bytes long"),
        row("prefix only, length 0", new byte[8], "does not start with '{'"),
        row("prefix only, length 2", declaring(2, new byte[0], 0), "only 0 follow"),
        row("length one beyond the file", declaring(3, bytes("{}"), 0), "3 bytes, but only 2"),
        row("length at the limit", declaring(100_000_000, bytes("{}"), 0), "only 2 follow"),
        row(
            "length beyond the limit",
            declaring(100_000_001, bytes("{}"), 0),
            "limit of 100000000"),
        row("length as all ones", declaring(-1, bytes("{}"), 0), "18446744073709551615 bytes"),
        row(
            "length as smallest long",
            declaring(Long.MIN_VALUE, bytes("{}"), 0),
            "922337203685477"),
        row("a zip archive", bytes("PK\3\4 and more of it"), "probably not a safetensors file"),
        row("header starts with a space", safetensors(" {}", 0), "does not start with '{'"),
        row("header starts with a mark", safetensors("\uFEFF{}", 0), "does not start with '{'"),
        row("header is an array", safetensors("[]", 0), "does not start with '{'"),
        row("header unclosed", safetensors("{", 0), "not valid JSON"),
        row("header cut in a tensor", safetensors("{\"a\":{\"dtype\":\"F3", 0), "not valid JSON"),
        row("header cut in an array", safetensors("{\"a\":{\"shape\":[1,", 0), "not valid JSON"),
        row("trailing comma", safetensors("{" + good + ",}", 8), "not valid JSON"),
        row("two objects", safetensors("{}{}", 0), "followed by something else"),
        row("trailing letters", safetensors("{}x", 0), "not valid JSON"),
        row("padding of zeros", safetensors("{}\0\0", 0), "not valid JSON"),
        row("comment", safetensors("{/* */}", 0), "not valid JSON"),
        row("UTF-16 header", declaring(4, new byte[] {'{', 0, '}', 0}, 0), "not valid JSON"),
        row("latin-1 key", raw("{\"\u00e9\":1}", StandardCharsets.ISO_8859_1), "not valid UTF-8"),
        row("overlong slash", safetensors(join("{\"", 0xC0, 0xAF, "\":1}"), 0), "not valid UTF-8"),
        row("raw surrogate", safetensors(join("{\"", 0xED, 0xA0, "\":1}"), 0), "not valid UTF-8"),
        row("cut character", safetensors(join("{}", 0xE2, 0x82, ""), 0), "not valid UTF-8"),
        row("lone low surrogate", safetensors("{\"\\udc00\":1}", 0), "not valid JSON"),
        row(
            "lone surrogate in metadata",
            safetensors("{\"__metadata__\":{\"k\":\"\\udc00\"}}", 0),
            "not valid Unicode"),
        row("half a surrogate pair", safetensors("{\"\\ud800\":1}", 0), "not valid JSON"),
        row("newline in a key", safetensors("{\"a\nb\":1}", 0), "not valid JSON"),
        row("key twice", safetensors("{" + good + "," + good + "}", 8), "key 'a' appears twice"),
        row(
            "key twice by escape",
            safetensors("{" + good + "," + good.replace("\"a\"", "\"\\u0061\"") + "}", 8),
            "key 'a' appears twice"),
        row(
            "metadata twice",
            safetensors("{\"__metadata__\":{},\"__metadata__\":{}}", 0),
            "'__metadata__' appears twice"),
        row("metadata a string", safetensors("{\"__metadata__\":\"x\"}", 0), "not an object"),
        row(
            "metadata number",
            safetensors("{\"__metadata__\":{\"k\":1}}", 0),
            "__metadata__ key 'k' is not a string"),
        row("tensor a number", safetensors("{\"a\":1}", 0), "'a' is not an object"),
        row("tensor empty", safetensors("{\"a\":{}}", 0), "'a' has no dtype"),
        row("no shape", tensorFile("\"dtype\":\"U8\"", 0), "'a' has no shape"),
        row("no offsets", tensorFile("\"dtype\":\"U8\",\"shape\":[0]", 0), "no data_offsets"),
        row("dtype twice", tensorFile("\"dtype\":\"U8\",\"dtype\":\"U8\"", 0), "'dtype' twice"),
        row("unknown field", tensorFile("\"stride\":[1]", 0), "unknown field 'stride'"),
        row("dtype a number", tensorFile("\"dtype\":5", 0), "dtype that is not a string"),
        row("dtype null", tensorFile("\"dtype\":null", 0), "dtype that is not a string"),
        row("dtype of no file", one("OPAQUE", "[8]", "[0,0]", 0), "dtype 'OPAQUE', which"),
        row("dtype of PyTorch's", one("C128", "[1]", "[0,16]", 16), "dtype 'C128', which"),
        row("half a byte", one("F4", "[3]", "[0,1]", 1), "no whole bytes"),
        row("dtype in lower case", one("f32", "[2]", "[0,8]", 8), "dtype 'f32'"),
        row("shape a number", one("F32", "2", "[0,8]", 8), "shape that is not an array"),
        row("shape of strings", one("F32", "[\"2\"]", "[0,8]", 8), "something else than integers"),
        row("shape of floats", one("F32", "[2.0]", "[0,8]", 8), "something else than integers"),
        row("shape with an exponent", one("F32", "[2e0]", "[0,8]", 8), "else than integers"),
        row("shape nested", one("F32", "[[2]]", "[0,8]", 8), "something else than integers"),
        row("shape negative", one("F32", "[-2]", "[0,8]", 8), "the negative number -2"),
        row("two negatives", one("F32", "[-1,-2]", "[0,8]", 8), "the negative number -1"),
        row("shape beyond 63 bits", one("F32", "[9223372036854775808]", "[0,8]", 8), "63 bits"),
        row("shape overflows", one("U8", "[4294967296,4294967296]", "[0,0]", 0), "too large"),
        row("bytes overflow", one("F64", "[2305843009213693952]", "[0,0]", 0), "too large"),
        row(
            "overflow hidden by a zero",
            one("U8", "[4294967296,4294967296,0]", "[0,0]", 0),
            "too large to address"),
        row("one offset", one("U8", "[8]", "[8]", 8), "1 data_offsets; expected 2"),
        row("three offsets", one("U8", "[8]", "[0,8,8]", 8), "3 data_offsets; expected 2"),
        row("offset negative", one("U8", "[8]", "[-8,0]", 8), "the negative number -8"),
        row("offset a float", one("U8", "[8]", "[0,8.5]", 8), "something else than integers"),
        row("offset of 2000 digits", one("U8", "[8]", "[0," + "9".repeat(2000) + "]", 8), "JSON"),
        row("begin behind end", one("U8", "[0]", "[8,0]", 8), "begins at byte 8, after its end 0"),
        row("beyond the data", one("U8", "[9]", "[0,9]", 8), "ends at byte 9"),
        row(
            "far beyond the data",
            one("U8", "[9223372036854775807]", "[0,9223372036854775807]", 8),
            "ends at byte 9223372036854775807"),
        row(
            "too few bytes",
            one("F32", "[3]", "[0,8]", 8),
            "12 bytes, but its data_offsets span 8"),
        row(
            "too many bytes",
            one("F16", "[3]", "[0,8]", 8),
            "6 bytes, but its data_offsets span 8"),
        row("scalar of two", one("F32", "[]", "[0,8]", 8), "is 4 bytes, but"),
        row(
            "hole at the start",
            one("U8", "[4]", "[4,8]", 8),
            "hole of 4 bytes between the header"),
        row("hole at the end", one("U8", "[4]", "[0,4]", 8), "4 bytes behind tensor 'a'"),
        row("data without tensors", safetensors("{}", 1), "1 bytes behind the header"),
        row(
            "hole in the middle",
            safetensors(pair("[0,3]", "[3]", "[5,8]", "[3]"), 8),
            "hole of 2 bytes between tensor 'a' and tensor 'b'"),
        row(
            "overlap by one",
            safetensors(pair("[0,4]", "[4]", "[3,8]", "[5]"), 8),
            "tensor 'b' overlaps tensor 'a'"),
        row(
            "same place twice",
            safetensors(pair("[0,8]", "[8]", "[0,8]", "[8]"), 8),
            "overlaps tensor"),
        row(
            "inside another",
            safetensors(pair("[0,8]", "[8]", "[2,4]", "[2]"), 8),
            "tensor 'b' overlaps tensor 'a'"),
        row("depth bomb", safetensors("{\"a\":" + "[".repeat(1 << 20), 0), "'a' is not an object"),
        row(
            "depth bomb in metadata",
            safetensors("{\"__metadata__\":{\"k\":" + "{\"k\":".repeat(1 << 18), 0),
            "'k' is not a string"),
        row(
            "endless name",
            safetensors("{\"" + "n".repeat(1 << 20) + "\":1}", 0),
            "not valid JSON"),
        row(
            "name that breaks the line",
            safetensors("{\"x\\n\\u001b[2J\\u202e\\u2028y\":1}", 0),
            "'x\\u000a\\u001b[2J\\u202e\\u2028y'"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("broken")
  void refusesInOneLine(String label, byte[] bytes, String words) {
    Path file = TestFiles.write(folder.resolve("m.safetensors"), bytes);
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Safetensors.open(file).close());
    assertThat(refusal).as(label).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, file);
  }

  @Test
  void theTableIsLong() {
    assertThat(broken().count()).isGreaterThanOrEqualTo(60);
  }

  static Stream<Arguments> sound() {
    return Stream.of(
        sound("no tensors", safetensors("{}", 0)),
        sound("metadata null", safetensors("{\"__metadata__\":null}", 0)),
        sound("metadata empty", safetensors("{\"__metadata__\":{}}", 0)),
        sound(
            "metadata last",
            safetensors("{" + tensor("a", "U8", "[1]", "[0,1]") + ",\"__metadata__\":null}", 1),
            1),
        sound("metadata key twice", safetensors("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0)),
        sound(
            "metadata of any text",
            safetensors("{\"__metadata__\":{\"\":\"\",\"\\u0000\":\"\\ud83d\\udd25\\n\"}}", 0)),
        sound("float8", one("F8_E4M3", "[8]", "[0,8]", 8), 8),
        sound("complex", one("C64", "[2]", "[0,16]", 16), 16),
        sound("uint16", one("U16", "[2]", "[0,4]", 4), 4),
        sound("six bits", one("F6_E2M3", "[4]", "[0,3]", 3), 3),
        sound("four bits", one("F4", "[2,3]", "[0,3]", 3), 3),
        sound("padded", safetensors("{}      ", 0)),
        sound("scalar", one("F32", "[]", "[0,4]", 4), 4),
        sound("no elements", one("F32", "[3,0,2]", "[0,0]", 0), 0),
        sound(
            "no elements between others",
            safetensors(
                "{"
                    + tensor("z", "U8", "[0]", "[4,4]")
                    + ","
                    + pair("[0,4]", "[4]", "[4,8]", "[4]").substring(1),
                8),
            4,
            4,
            0),
        sound("unaligned data", safetensors("{" + tensor("a", "F64", "[1]", "[0,8]") + "} ", 8), 8),
        sound("empty name", safetensors("{" + tensor("", "BOOL", "[1]", "[0,1]") + "}", 1), 1),
        sound(
            "emoji name",
            safetensors("{" + tensor("\uD83D\uDD25", "I8", "[1]", "[0,1]") + "}", 1),
            1));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("sound")
  void acceptsWhatTheFormatAllows(String label, byte[] bytes, long[] sizes) {
    Path file = TestFiles.write(folder.resolve("m.safetensors"), bytes);
    try (Checkpoint checkpoint = Safetensors.open(file)) {
      assertThat(
              checkpoint.names().stream()
                  .mapToLong(n -> checkpoint.entry(n).bytes().byteSize())
                  .toArray())
          .as(label)
          .containsExactly(sizes);
    }
  }

  @Test
  void followsSymbolicLinks() throws IOException {
    Path file = TestFiles.write(folder.resolve("blob"), one("U8", "[2]", "[0,2]", 2));
    Path link = Files.createSymbolicLink(folder.resolve("link.safetensors"), file.getFileName());
    try (Checkpoint checkpoint = Checkpoints.open(link)) {
      assertThat(checkpoint.names()).containsExactly("a");
      assertThat(checkpoint.path()).isEqualTo(link);
    }
  }

  @Test
  void refusesWhatIsNoFile() throws IOException {
    Path none = folder.resolve("none.safetensors");
    assertRefused(none, "cannot be read: no such file or folder");
    assertRefused(folder, "is a folder; expected a file");
    Path dangling = Files.createSymbolicLink(folder.resolve("dangling"), none);
    assertRefused(dangling, "cannot be read: no such file");
    assertRefused(Path.of("/dev/zero"), "not a regular file");
  }

  @Test
  void saysWhyAFileCannotBeRead() {
    assertThat(Problems.unreadable(folder, new AccessDeniedException("x")))
        .hasMessage(
            folder
                + ": cannot be read: permission denied; check the rights of the file"
                + " and folder");
    assertThat(Problems.unwritable(folder, new FileSystemException("x", null, "No space\nleft")))
        .hasMessage(folder + ": cannot be written: No space\\u000aleft");
    assertThat(Problems.unwritable(folder, new IOException("Input/output error")))
        .hasMessage(folder + ": cannot be written: Input/output error");
  }

  @Test
  void opensThousandsOfKeys() {
    String header =
        IntStream.range(0, 20_000)
            .mapToObj(
                i -> tensor("block." + i + ".weight", "U8", "[1]", "[" + i + "," + (i + 1) + "]"))
            .reduce(
                new StringBuilder("{"),
                (s, t) -> s.append(s.length() > 1 ? "," : "").append(t),
                StringBuilder::append)
            .append('}')
            .toString();
    Path file = TestFiles.write(folder.resolve("m.safetensors"), safetensors(header, 20_000));
    try (Checkpoint checkpoint = Safetensors.open(file)) {
      assertThat(checkpoint.names()).hasSize(20_000);
      assertThat(checkpoint.entry("block.19999.weight").bytes().byteSize()).isEqualTo(1);
    }
  }

  private void assertRefused(Path file, String words) {
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Safetensors.open(file).close());
    assertThat(refusal).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, file);
  }

  private static Arguments row(String label, byte[] bytes, String words) {
    return Arguments.of(label, bytes, words);
  }

  private static Arguments sound(String label, byte[] bytes, long... sizes) {
    return Arguments.of(label, bytes, sizes);
  }

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return "\""
        + name
        + "\":{\"dtype\":\""
        + dtype
        + "\",\"shape\":"
        + shape
        + ",\"data_offsets\":"
        + offsets
        + "}";
  }

  private static String pair(String offsetsA, String shapeA, String offsetsB, String shapeB) {
    return "{"
        + tensor("a", "U8", shapeA, offsetsA)
        + ","
        + tensor("b", "U8", shapeB, offsetsB)
        + "}";
  }

  private static byte[] one(String dtype, String shape, String offsets, int data) {
    return safetensors("{" + tensor("a", dtype, shape, offsets) + "}", data);
  }

  private static byte[] tensorFile(String fields, int data) {
    return safetensors("{\"a\":{" + fields + "}}", data);
  }

  private static byte[] raw(String header, Charset charset) {
    return safetensors(header.getBytes(charset), 0);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] join(String head, int first, int second, String tail) {
    byte[] all = bytes(head + "??" + tail);
    all[head.length()] = (byte) first;
    all[head.length() + 1] = (byte) second;
    return all;
  }
}
