package io.heatkv.checkpoint;

import static io.heatkv.checkpoint.TestFiles.safetensors;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ShardedAndFolderTest {
  private static final String NAME = "model.safetensors.index.json";

  @TempDir Path folder;

  @BeforeEach
  void writeShards() {
    TestFiles.write(folder.resolve("one.safetensors"), shard("a"));
    TestFiles.write(folder.resolve("two.safetensors"), shard("b"));
    TestFiles.write(folder.resolve("bad.safetensors"), new byte[3]);
  }

  static Stream<Arguments> broken() {
    String one = "\"a\":\"one.safetensors\"";
    String two = "\"b\":\"two.safetensors\"";
    return Stream.of(
        Arguments.of("", "the index is not a JSON object"),
        Arguments.of("[]", "not a JSON object"),
        Arguments.of("{", "not valid JSON"),
        Arguments.of(map(one) + " x", "not valid JSON"),
        Arguments.of("{}", "has no weight_map"),
        Arguments.of("{\"metadata\":{\"weight_map\":{}}}", "has no weight_map"),
        Arguments.of("{\"metadata\":" + "[".repeat(100_000), "not valid JSON"),
        Arguments.of("{\"weight_map\":[]}", "weight_map is not an object"),
        Arguments.of("{\"weight_map\":{}}", "has an empty weight_map"),
        Arguments.of(map(one) + map(two), "followed by something else"),
        Arguments.of("{\"weight_map\":{" + one + "},\"weight_map\":{" + two + "}}", "twice"),
        Arguments.of(map(one, one), "has the key 'a' twice"),
        Arguments.of(map("\"a\":1"), "gives 'a' a shard that is not a string"),
        Arguments.of(map("\"a\":null"), "gives 'a' a shard that is not a string"),
        Arguments.of(map("\"a\":\"\""), "gives 'a' the shard ''; expected the name of a file"),
        Arguments.of(map("\"a\":\"..\""), "gives 'a' the shard '..'"),
        Arguments.of(map("\"a\":\"../one.safetensors\""), "the shard '../one.safetensors'"),
        Arguments.of(map("\"a\":\"/etc/passwd\""), "the shard '/etc/passwd'"),
        Arguments.of(map("\"a\":\"x\\\\one\""), "expected the name of a file beside the index"),
        Arguments.of(map("\"a\":\"o\\u0000ne\""), "expected the name of a file"),
        Arguments.of(map("\"a\":\"\\udc00\""), "not valid Unicode"),
        Arguments.of(
            map(one, "\"b\":\"three.safetensors\""), "'three.safetensors', which is missing"),
        Arguments.of(
            map(one, two, "\"c\":\"two.safetensors\""), "lists the tensor 'c', which is not"),
        Arguments.of(map("\"x\":\"one.safetensors\"", two), "does not list the tensor 'a'"),
        Arguments.of(
            map("\"b\":\"one.safetensors\"", "\"a\":\"two.safetensors\""),
            "lists the tensor 'a' in the shard 'two.safetensors', but it is in 'one.safetensors'"));
  }

  @ParameterizedTest
  @MethodSource("broken")
  void refusesAnUnsoundIndex(String json, String words) {
    Path index = index(json);
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Shards.open(index).close());
    assertThat(refusal).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, index);
  }

  @Test
  void namesTheDamagedShard() {
    Path index = index(map("\"a\":\"bad.safetensors\""));
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Shards.open(index).close());
    TestFiles.assertOneLine(refusal, folder.resolve("bad.safetensors"));
  }

  @Test
  void refusesATensorInTwoShards() {
    TestFiles.write(
        folder.resolve("two.safetensors"),
        safetensors(
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2));
    Path index = index(map("\"a\":\"one.safetensors\"", "\"b\":\"two.safetensors\""));
    assertThat(catchThrowableOfType(UserException.class, () -> Checkpoints.open(index).close()))
        .hasMessageContaining("'a' in the shard 'one.safetensors', but it is in 'two.safetensors'");
  }

  @Test
  void opensAnIndexByContentWhateverItsName() throws IOException {
    Path index = index(" \n" + map("\"a\":\"one.safetensors\"", "\"b\":\"two.safetensors\""));
    Path renamed = Files.move(index, folder.resolve("weights"));
    try (Checkpoint checkpoint = Checkpoints.open(renamed)) {
      assertThat(checkpoint.names()).containsExactly("a", "b");
      assertThat(checkpoint.metadata()).containsEntry("shard", "a");
    }
  }

  @Test
  void opensAFileWhoseLengthLooksLikeABrace() {
    byte[] bytes = safetensors("{}" + " ".repeat(0x7B - 2), 0);
    assertThat(bytes[0]).isEqualTo((byte) '{');
    Path file = TestFiles.write(folder.resolve("brace"), bytes);
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      assertThat(checkpoint.names()).isEmpty();
    }
  }

  @Test
  void opensAFolder() throws IOException {
    UserException several =
        catchThrowableOfType(UserException.class, () -> Checkpoints.open(folder).close());
    assertThat(several)
        .hasMessageContaining(
            "several checkpoints (bad.safetensors, one.safetensors, two.safetensors)");
    index(map("\"a\":\"one.safetensors\"", "\"b\":\"two.safetensors\""));
    try (Checkpoint checkpoint = Checkpoints.open(folder)) {
      assertThat(checkpoint.names()).containsExactly("a", "b");
    }
    Path single = Files.createDirectory(folder.resolve("single"));
    assertThat(catchThrowableOfType(UserException.class, () -> Checkpoints.open(single).close()))
        .hasMessageContaining("holds no *.safetensors.index.json, *.safetensors, *.bin.index.json");
    TestFiles.write(single.resolve("m.safetensors"), shard("only"));
    try (Checkpoint checkpoint = Checkpoints.open(single)) {
      assertThat(checkpoint.names()).containsExactly("only");
    }
  }

  @Test
  void refusesAPathThatIsNotThere() {
    Path none = folder.resolve("none");
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Checkpoints.open(none).close());
    assertThat(refusal).hasMessageContaining("no such file or folder");
    TestFiles.assertOneLine(refusal, none);
  }

  private Path index(String json) {
    return TestFiles.write(folder.resolve(NAME), json.getBytes(StandardCharsets.UTF_8));
  }

  private static String map(String... entries) {
    return "{\"metadata\":{\"total_size\":2},\"weight_map\":{" + String.join(",", entries) + "}}";
  }

  private static byte[] shard(String name) {
    return safetensors(
        "{\"__metadata__\":{\"shard\":\""
            + name
            + "\"},\""
            + name
            + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        1);
  }
}
