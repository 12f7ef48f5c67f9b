package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Pickles that would run something, or claim what isn't there, in both layouts of torch.save. */
class HostilePickleTest {
  private static final long HUGE = Long.MAX_VALUE;

  @TempDir Path folder;

  static Stream<Arguments> hostile() {
    return Stream.of(
            names(), opcodes(), lengths(), bombs(), stacks(), calls(), storages(), tensors())
        .flatMap(s -> s);
  }

  private static Stream<Arguments> names() {
    return Stream.of(
        row("os.system", p -> p.global("os", "system").text("id").raw(0x85, 'R'), "os.system"),
        row("posix", p -> p.global("posix", "system").text("id").raw(0x85, 'R'), "posix.system"),
        row("eval", p -> p.global("builtins", "eval").text("1").raw(0x85, 'R'), "builtins.eval"),
        row("exec", p -> p.global("__builtin__", "exec"), "__builtin__.exec"),
        row("getattr", p -> p.global("builtins", "getattr"), "builtins.getattr"),
        row("subprocess", p -> p.global("subprocess", "Popen"), "subprocess.Popen"),
        row(
            "nested pickle",
            p -> p.global("torch.storage", "_load_from_bytes"),
            "torch.storage._load_from_bytes"),
        row("pickle.loads", p -> p.global("pickle", "loads"), "pickle.loads"),
        row("torch.load", p -> p.global("torch", "load"), "torch.load"),
        row("torch.hub", p -> p.global("torch.hub", "load"), "torch.hub.load"),
        row(
            "dotted attribute",
            p -> p.global("torch", "_utils.os.system"),
            "torch._utils.os.system"),
        row("known name, other module", p -> p.global("evil", "OrderedDict"), "evil.OrderedDict"),
        row("spaces", p -> p.global("torch ", "Size"), "torch .Size"),
        row("empty names", p -> p.global("", ""), "names .; refused"),
        row("breaks the line", p -> p.global("o\u001b[2J", "s\r"), "o\\u001b[2J.s\\u000d"),
        row(
            "by STACK_GLOBAL",
            p -> p.text("os").text("system").raw(0x93).raw(')', 'R'),
            "os.system"),
        row(
            "STACK_GLOBAL from the memo",
            p -> p.text("system").raw('q', 7).text("os").raw('h', 7).raw(0x93),
            "os.system"),
        row(
            "STACK_GLOBAL of other things",
            p -> p.wholes(1).wholes(2).raw(0x93),
            "something that is no text; refused"),
        row("STACK_GLOBAL of nothing", p -> p.raw(0x93), "more values than it put down"),
        row("by INST", p -> p.raw("(ios\nsystem\n"), "names os.system"),
        row("INST of a known name", p -> p.raw("(icollections\nOrderedDict\n"), "opcode INST"),
        row(
            "inside a reduce",
            p ->
                p.global("torch", "Size")
                    .global("os", "system")
                    .text("id")
                    .raw(0x85, 'R', 0x85, 'R'),
            "os.system"),
        row(
            "as a hook of a tensor",
            p ->
                p.global("torch._utils", "_rebuild_tensor_v2")
                    .raw('(')
                    .storage("FloatStorage", "0", 6)
                    .global("os", "system"),
            "os.system"),
        row(
            "as a persistent id",
            p -> p.raw('(').text("storage").global("os", "system"),
            "os.system"),
        row("endless name", p -> p.raw("c" + "x".repeat(1 << 16)), "name longer than 256"),
        row("name not UTF-8", p -> p.raw("c\u00ff\u00fe\nx\n"), "not valid UTF-8"));
  }

  private static Stream<Arguments> opcodes() {
    Stream<Arguments> unknown =
        IntStream.concat(
                "oP012ILFSVpgld".chars(),
                IntStream.of(0x81, 0x92, 0x82, 0x83, 0x84, 0x97, 0x98, 0x00, 0xff))
            .mapToObj(code ->
                row(
                    "opcode " + code,
                    p -> p.raw('}', '}', code),
                    String.format("opcode 0x%02x at byte", code)));
    return Stream.concat(
        unknown,
        Stream.of(
            row("protocol 0", p -> p.raw(0x80, 0), "protocol 0; expected 2 to 5"),
            row("protocol 200", p -> p.raw(0x80, 200), "protocol 200; expected 2 to 5"),
            row("frame too long", p -> p.raw(0x95).i64(HUGE), "a frame of 9223372036854775807"),
            row("frame negative", p -> p.raw(0x95).i64(-1), "size of 18446744073709551615")));
  }

  private static Stream<Arguments> lengths() {
    return Stream.of(
        row("text of 4 GiB", p -> p.raw('X').i32(-1), "asks for 4294967295 bytes"),
        row("text of 2 GiB", p -> p.raw('X').i32(Integer.MAX_VALUE), "asks for 2147483647 bytes"),
        row("long text", p -> p.raw(0x8d).i64(HUGE), "asks for 9223372036854775807 bytes"),
        row("text of negative length", p -> p.raw('T').i32(-2), "asks for -2 bytes"),
        row("short text", p -> p.raw(0x8c, 255), "asks for 255 bytes"),
        row("text not UTF-8", p -> p.raw('X').i32(2).raw(0xC0, 0xAF), "not valid UTF-8"),
        row("bytes of 4 GiB", p -> p.raw('B').i32(-1), "asks for 4294967295 bytes"),
        row("BINBYTES8", p -> p.raw(0x8e).i64(HUGE), "asks for 9223372036854775807 bytes"),
        row("BINBYTES8 all ones", p -> p.raw(0x8e).i64(-1), "size of 18446744073709551615"),
        row("BYTEARRAY8", p -> p.raw(0x96).i64(1L << 62), "asks for 4611686018427387904"),
        row("LONG4 of 2 GiB", p -> p.raw(0x8b).i32(Integer.MAX_VALUE), "asks for 2147483647"),
        row("LONG4 negative", p -> p.raw(0x8b).i32(Integer.MIN_VALUE), "asks for -2147483648"),
        row("LONG1 cut", p -> p.raw(0x8a, 200), "asks for 200 bytes"));
  }

  private static Stream<Arguments> bombs() {
    return Stream.of(
        row(
            "billion laughs",
            p -> {
              p.raw('}').text("w").tensor("FloatStorage", "0", 6, 0, l(6), l(1)).raw('q', 0);
              for (int i = 1; i <= 30; i++) {
                p.raw('h', i - 1, 0x86, 'q', i);
              }
              p.raw('s');
            },
            "more than 100000 tensors"),
        row(
            "billion laughs without tensors",
            p -> {
              p.raw(']', 'q', 0);
              for (int i = 1; i <= 30; i++) {
                p.raw('h', i - 1, 0x86, 'q', i);
              }
            },
            "nests more than 2000000 values"),
        row("list in itself", p -> p.raw(']', 'q', 0, 'h', 0, 'a'), "more than 32 containers"),
        row(
            "dict in itself",
            p -> p.raw('}', 'q', 0).text("a").raw('h', 0, 's'),
            "more than 32 containers"),
        row(
            "deep lists",
            p -> p.repeat(100_000, q -> q.raw(']')).repeat(99_999, q -> q.raw('a')),
            "more than 32 containers"),
        row("deep tuples", p -> p.raw(')').repeat(500_000, q -> q.raw(0x85)), "32 containers"),
        row("many marks", p -> p.repeat(1_000_000, q -> q.raw('(')), "more values than"),
        row("many steps", p -> p.repeat(2_000_001, q -> q.raw('}')), "more than 2000000 steps"),
        row(
            "memo flood",
            p -> {
              p.raw('N');
              for (int i = 0; i < 600_000; i++) {
                p.raw('r').i32(i * 7919);
              }
              p.raw('a');
            },
            "more values than it put down"));
  }

  private static Stream<Arguments> stacks() {
    return Stream.of(
        row("nothing", p -> {}, "more values than it put down"),
        row("two results", p -> p.raw('}', '}'), "ends with 1 values left over"),
        row("result below a mark", p -> p.raw('}', '(', '}'), "ends with 2 values left over"),
        row("mark as result", p -> p.raw('('), "more values than it put down"),
        row("tuple without mark", p -> p.raw('N', 't'), "a group that it never opened"),
        row("pair across a mark", p -> p.raw('N', '(', 'N', 0x86), "more values than"),
        row("memo of nothing", p -> p.raw('q', 0), "more values than it put down"),
        row("recall of nothing", p -> p.raw('h', 9), "recalls 9, which it never stored"),
        row("recall far", p -> p.raw('j').i32(-1), "recalls 4294967295, which"),
        row("append to a tuple", p -> p.raw(')', 'N', 'a'), "no list"),
        row("append to a dict", p -> p.raw('}', 'N', 'a'), "no list"),
        row("items of a list", p -> p.raw(']').text("k").raw('N', 's'), "no dict"),
        row("odd items", p -> p.raw('}', '(', 'N', 'u'), "no dict"),
        row("state of a list", p -> p.raw(']', '}', 'b'), "state of something that is no dict"));
  }

  private static Stream<Arguments> calls() {
    return Stream.of(
        row("call of a text", p -> p.text("os.system").raw(')', 'R'), "no function of tensors"),
        row("call of a dict", p -> p.raw('}', ')', 'R'), "no function of tensors"),
        row(
            "call with a list",
            p -> p.global("torch", "Size").raw(']', 'R'),
            "no function of tensors"),
        row("Size of text", p -> p.global("torch", "Size").text("x").raw(0x85, 'R'), "SIZE"),
        row("Size of nothing", p -> p.global("torch", "Size").raw(')', 'R'), "SIZE"),
        row(
            "tensor of nothing",
            p -> p.global("torch._utils", "_rebuild_tensor_v2").raw(')', 'R'),
            "calls REBUILD_TENSOR"),
        row(
            "parameter of nothing",
            p -> p.global("torch._utils", "_rebuild_parameter").raw('N', 'N', 'N', 0x87, 'R'),
            "calls REBUILD_PARAMETER"),
        row(
            "type of itself",
            p ->
                p.global("torch._tensor", "_rebuild_from_type_v2")
                    .raw('q', 0, '(', 'h', 0, 'N', ')', 'N', 't', 'R'),
            "calls REBUILD_FROM_TYPE"),
        row(
            "tensor of a type that is none",
            p ->
                p.global("torch._utils", "_rebuild_tensor_v3")
                    .raw('(')
                    .storage("ByteStorage", "0", 24)
                    .whole(0)
                    .wholes(6)
                    .wholes(1)
                    .raw('N', 'N')
                    .text("float32")
                    .raw('t', 'R'),
            "calls REBUILD_TENSOR_OF_TYPE"),
        row("sparse of a huge shape", sparse(1L << 62, 4), "too large to address"),
        row("sparse of a negative shape", sparse(-2, 3), "negative size or stride"),
        row("state of a plain value", p -> plain(p).raw('}', 'b'), "state of something that is no"),
        row("call of a plain value", p -> plain(p).raw(')', 'R'), "no function of tensors"),
        row(
            "ordered dict of a text",
            p -> p.global("collections", "OrderedDict").text("x").raw(0x85, 'R'),
            "calls ORDERED_DICT"),
        row(
            "ordered dict of triples",
            p ->
                p.global("collections", "OrderedDict")
                    .raw(']', 'N', 'N', 'N', 0x87, 'a', 0x85, 'R'),
            "calls ORDERED_DICT"));
  }

  private static Stream<Arguments> storages() {
    return Stream.of(
        row("persistent text", p -> p.text("storage").raw('Q'), "no storage of tensors"),
        row("persistent empty", p -> p.raw(')', 'Q'), "no storage of tensors"),
        row(
            "persistent module",
            p -> p.raw('(').text("module").raw('N', 'N', 'N', 'N', 't', 'Q'),
            "no storage of tensors"),
        row("negative storage", one(-6, 0, l(6), l(1)), "'0' of -6 elements"),
        row("storage beyond 63 bits", one(HUGE, 0, l(6), l(1)), "'0' of 9223372036854775807"),
        row("storage of 2^59", one(1L << 59, 0, l(6), l(1)), "tensors expect"),
        row("storage one too large", one(7, 0, l(6), l(1)), "tensors expect"),
        row(
            "storage in two types",
            p -> p.raw('(').storage("FloatStorage", "0", 6).storage("IntStorage", "0", 6).raw('t'),
            "describes the storage '0' in two ways"));
  }

  private static Stream<Arguments> tensors() {
    return Stream.of(
        row("one beyond", one(6, 0, l(7), l(1)), "reaches element 6 of a storage of 6"),
        row("offset beyond", one(6, 6, l(1), l(1)), "reaches element 6 of a storage of 6"),
        row("scalar beyond", one(6, 6, l(), l()), "reaches element 6"),
        row("offset huge", one(6, HUGE, l(1), l(1)), "reaches element 9223372036854775807"),
        row("offset overflows", one(6, HUGE, l(2), l(1)), "too large to address"),
        row("offset negative", one(6, -1, l(6), l(1)), "begins before its storage"),
        row("size negative", one(6, 0, l(-6), l(1)), "negative size or stride"),
        row("two negative sizes", one(6, 0, l(-2, -3), l(3, 1)), "negative size or stride"),
        row("stride negative", one(6, 5, l(6), l(-1)), "negative size or stride"),
        row("stride beyond", one(6, 0, l(2, 3), l(4, 1)), "reaches element 6"),
        row("stride huge", one(6, 0, l(2), l(HUGE)), "reaches element 9223372036854775807"),
        row("stride overflows", one(6, 0, l(3), l(HUGE)), "too large to address"),
        row("shape overflows", one(6, 0, l(1L << 32, 1L << 32), l(0, 0)), "too large to address"),
        row("overflow under a zero", one(6, 0, l(1L << 32, 1L << 32, 0), l(0, 0, 0)), "too large"),
        row("shape wraps to 6", one(6, 0, l(1L << 62, 6), l(0, 1)), "too large to address"),
        row("expanded to 1 TiB", one(6, 0, l(1L << 38), l(0)), "far more than the file holds"),
        row("expanded many times", p -> expandedOften(p), "far more than the file holds"),
        row("fewer strides", one(6, 0, l(2, 3), l(1)), "has 1 strides"),
        row("more strides", one(6, 0, l(6), l(1, 1, 1)), "has 3 strides"),
        row("65 dimensions", one(6, 0, new long[65], new long[65]), "a tensor of 65 dimensions"),
        row(
            "shape of text",
            p ->
                p.global("torch._utils", "_rebuild_tensor_v2")
                    .raw('(')
                    .storage("FloatStorage", "0", 6)
                    .whole(0)
                    .text("x")
                    .raw(0x85)
                    .wholes(1)
                    .raw('N', 'N', 't', 'R'),
            "shape or strides are no integers"),
        row("one name twice", twice("w", "w"), "has the tensor 'w' twice"),
        row("a name twice by its dots", p -> dots(p), "has the tensor 'a.b' twice"),
        row("endless tensor name", twice("n".repeat(2000), "m"), "more than 1024 characters"),
        row("name that breaks the line", twice("\n\u2028", "\n\u2028"), "'\\u000a\\u2028' twice"),
        row(
            "tensor under a tuple",
            p -> p.raw('}').wholes(1).tensor("FloatStorage", "0", 6, 0, l(6), l(1)).raw('s'),
            "under a key that is neither text nor integer"));
  }

  private static Consumer<PickleBytes> sparse(long... shape) {
    return p ->
        p.raw('}')
            .text("w")
            .tensor("FloatStorage", "0", 6, 0, l(6), l(1))
            .raw('s')
            .text("sparse")
            .global("torch._utils", "_rebuild_sparse_tensor")
            .raw('N', '(', 'N', 'N')
            .wholes(shape)
            .raw('t', 0x86, 'R', 's');
  }

  private static PickleBytes plain(PickleBytes pickle) {
    return pickle.global("_codecs", "encode").text("a").text("latin1").raw(0x86, 'R');
  }

  private static void expandedOften(PickleBytes pickle) {
    pickle.raw('}');
    for (int i = 0; i < 40; i++) {
      pickle.text("w" + i).tensor("FloatStorage", "0", 6, 0, l(1 << 18), l(0)).raw('s');
    }
  }

  private static Consumer<PickleBytes> twice(String first, String second) {
    return p ->
        p.raw('}')
            .text(first)
            .tensor("FloatStorage", "0", 6, 0, l(6), l(1))
            .raw('s')
            .text(second)
            .tensor("FloatStorage", "0", 6, 0, l(6), l(1))
            .raw('s');
  }

  private static void dots(PickleBytes p) {
    p.raw('}').text("a.b").tensor("FloatStorage", "0", 6, 0, l(6), l(1)).raw('s');
    p.text("a").raw('}').text("b").tensor("FloatStorage", "0", 6, 0, l(6), l(1)).raw('s', 's');
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("hostile")
  void refusesInOneLine(String label, Consumer<PickleBytes> body, String words) {
    byte[] pickle = PickleBytes.of(body);
    Path zip = TestFiles.write(folder.resolve("zip.pth"), ZipBytes.torch(pickle, 24).bytes());
    Path legacy = TestFiles.write(folder.resolve("legacy.pth"), LegacyBytes.of(pickle, 6, 24));
    for (Path file : new Path[] {zip, legacy}) {
      UserException refusal =
          catchThrowableOfType(UserException.class, () -> Checkpoints.open(file).close());
      assertThat(refusal).as(label).isNotNull();
      assertThat(refusal).as(label).hasMessageContaining(words);
      TestFiles.assertOneLine(refusal, file);
    }
  }

  /** 24 bytes hold 12 elements of uint16. */
  @Test
  void aViewOfBytesStaysInsideThem() {
    byte[] pickle =
        PickleBytes.of(p ->
            p.raw('}')
                .text("w")
                .global("torch._utils", "_rebuild_tensor_v3")
                .raw('(')
                .storage("ByteStorage", "0", 24)
                .whole(0)
                .wholes(13)
                .wholes(1)
                .raw('N', 'N')
                .global("torch", "uint16")
                .raw('t', 'R', 's'));
    Path file = TestFiles.write(folder.resolve("a.pth"), ZipBytes.torch(pickle, 24).bytes());
    assertThat(catchThrowableOfType(UserException.class, () -> Checkpoints.open(file).close()))
        .hasMessageContaining("reaches element 12 of a storage of 12");
  }

  @Test
  void theTableIsLong() {
    assertThat(hostile().count()).isGreaterThanOrEqualTo(100);
  }

  private static Consumer<PickleBytes> one(
      long elements, long offset, long[] shape, long[] strides) {
    return p ->
        p.raw('}').text("w").tensor("FloatStorage", "0", elements, offset, shape, strides).raw('s');
  }

  private static Arguments row(String label, Consumer<PickleBytes> body, String words) {
    return Arguments.of(label, body, words);
  }

  private static long[] l(long... values) {
    return values;
  }
}
