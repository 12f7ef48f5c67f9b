package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.testkit.TestDevice;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Recordings of other sizes agree, wrong ones show, and unreadable ones say so in a line. */
class OtherRecordingsTest {
  private static final String RUN = "full_1.0.safetensors";
  private static final List<String> RUN_FILES =
      List.of(
          RUN,
          "info.json",
          "tiny_text.safetensors",
          "tiny_infinity.safetensors.index.json",
          "tiny_infinity-00001-of-00002.safetensors",
          "tiny_infinity-00002-of-00002.safetensors");

  private final Backend backend = TestDevice.backend();
  private long live;

  @TempDir Path folder;

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  @Test
  void anotherJarsReaderComparesItsOwnFiles() {
    List<SafetensorsWriter.Item> items = new ArrayList<>();
    items.add(floats("once", 1, 2, 3));
    items.add(floats("twice", 2, 4, 6.5f));
    SafetensorsWriter.write(folder.resolve(ForeignReader.FILE), items, Map.of());
    List<Check> checks = new ArrayList<>();
    assertThat(GoldenFolder.verify(folder, backend, TestDevice.device(), checks::add)).isEmpty();
    assertThat(checks).containsExactly(new Check("twice", 0.5, 1e-6, 0, 3));
  }

  private static SafetensorsWriter.Item floats(String name, float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return new SafetensorsWriter.Item(
        name,
        StorageType.F32,
        new long[] {values.length},
        () -> MemorySegment.ofArray(bytes.array()));
  }

  @Test
  void aTurnedBitCountsOnceAndANearTieNot() throws IOException {
    copy(RUN_FILES);
    // Scale 6, token 175, bit 6 is the near tie that info.json lists; scale 2, token 0, bit 0
    // isn't.
    change(RUN, "bits.6", bytes -> turned(bytes, 175 * 16 + 6));
    assertThat(named(verify(), "full 1.0 bits").differing()).isZero();
    change(RUN, "bits.2", bytes -> turned(bytes, 0));
    Check bits = named(verify(), "full 1.0 bits");
    assertThat(bits.differing()).isEqualTo(1);
    assertThat(bits.passed()).isFalse();
  }

  @Test
  void shiftedLogitsFailAndNotANumberStaysVisible() throws IOException {
    copy(RUN_FILES);
    change(RUN, "logits_raw.3", bytes -> withFloat(bytes, 5, 77));
    assertThat(named(verify(), "full 1.0 logits").passed()).isFalse();
    change(RUN, "attn_out.layer3.0", bytes -> withFloat(bytes, 0, Float.NaN));
    Check attention = named(verify(), "full 1.0 self-attention");
    assertThat(attention.largestError()).isNaN();
    assertThat(attention.passed()).isFalse();
  }

  @Test
  void foldersInAFolderAreNamed() throws IOException {
    Path inner = Files.createDirectory(folder.resolve("tiny-z"));
    Files.copy(
        TestDevice.resource("/golden/tiny-a").resolve("unit.safetensors"),
        inner.resolve("unit.safetensors"));
    assertThat(verify())
        .extracting(Check::name)
        .containsExactly("tiny-z: interpolation", "tiny-z: codes of bits", "tiny-z: rotary tables");
  }

  @Test
  void sizesTemplateAndGuidanceComeFromTheFiles() throws IOException {
    Path extra = TestDevice.resource("/golden-extra");
    Files.copy(extra.resolve("infinity.safetensors"), folder.resolve("tiny_infinity.safetensors"));
    Files.copy(extra.resolve("texts.safetensors"), folder.resolve("tiny_text.safetensors"));
    for (String file : List.of("full_0.666.safetensors", "info.json")) {
      Files.copy(extra.resolve("tiny-b").resolve(file), folder.resolve(file));
    }
    assertThat(verify()).hasSize(6).allMatch(Check::passed);
  }

  @Test
  void nothingToCompareIsAnError() throws IOException {
    refused("has nothing to compare with");
    Files.writeString(folder.resolve("notes.txt"), "no recording");
    refused("has nothing to compare with");
    assertThatThrownBy(() -> verifyFolder(folder.resolve("absent")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("is not a folder");
  }

  @Test
  void filesCutShortAreRefused() throws IOException {
    copy(RUN_FILES);
    for (String file : RUN_FILES) {
      Path path = folder.resolve(file);
      byte[] whole = Files.readAllBytes(path);
      Files.write(path, Arrays.copyOf(whole, whole.length / 2));
      refused(file);
      Files.write(path, whole);
    }
  }

  @Test
  void shapesThatDoNotFitAreRefused() throws IOException {
    copy(RUN_FILES);
    reshape("tiny_text.safetensors", "text_features.0", 256, 11);
    refused("text_features.0");
    copy(RUN_FILES);
    reshape("tiny_text.safetensors", "text_features.0", 11 * 256);
    refused("text_features.0");
    copy(RUN_FILES);
    change(RUN, "x_in.2", bytes -> MemorySegment.ofArray(new byte[4 * 256]));
    refused("x_in.2");
  }

  @Test
  void wrongInfoIsRefused() throws IOException {
    copy(RUN_FILES);
    for (String info :
        List.of(
            "{\"full_1.0\":{\"schedule\":[[1,2]]}}",
            "{\"full_1.0\":{\"schedule\":7}}",
            "{\"near_ties_lt_1e-3\":{\"" + RUN + "\":[[6,\"a\",1]]}}",
            "[]")) {
      Files.writeString(folder.resolve("info.json"), info);
      refused("info.json");
    }
    Files.writeString(
        folder.resolve("info.json"), "{\"full_1.0\":{\"schedule\":[[1,1,1],[1,3,3]]}}");
    refused("code_in.1");
  }

  @Test
  void aDecoderForOtherCodesIsRefused() throws IOException {
    copy(List.of("tiny_vae.safetensors", "tiny_vae_io.safetensors"));
    reshape("tiny_vae_io.safetensors", "vae_in.1", 1, 8, 32, 16);
    refused("don't fit each other");
  }

  /** Folders in which nothing is compared can't pass; what is in them is named. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "notes.txt",
        "unit.safetensors",
        "full_1.0.safetensors",
        "scas_1.0.safetensors tiny_text.safetensors",
        "tiny_vae.safetensors",
        "var/unit.safetensors var/info.json"
      })
  void aFolderWithNothingToCompareIsRefused(String names) throws IOException {
    for (String name : names.isEmpty() ? new String[0] : names.split(" ")) {
      Path file = folder.resolve(name);
      Files.createDirectories(file.getParent());
      if (name.endsWith("unit.safetensors")) {
        // A unit recording of another family: sound, and nothing in it has a known name.
        SafetensorsWriter.write(
            file,
            List.of(
                item(
                    "area.0.in",
                    StorageType.U8,
                    new long[] {1},
                    MemorySegment.ofArray(new byte[1]))),
            Map.of());
      } else {
        Files.writeString(file, "{}");
      }
    }
    assertThatThrownBy(this::verify)
        .isInstanceOf(UserException.class)
        .hasMessageContaining("nothing to compare")
        .hasMessageContainingAll(names.split(" "))
        .message()
        .doesNotContain("\n");
  }

  @Test
  void filesThatNothingKnowsAreNamed() throws IOException {
    copy(List.of("tiny_t5.safetensors", "tiny_t5_config.json", "tiny_t5_io.safetensors"));
    Files.writeString(folder.resolve("README.md"), "for people");
    Files.writeString(folder.resolve("full_plain.safetensors"), "of another family");
    Path other = Files.createDirectory(folder.resolve("other"));
    Files.writeString(other.resolve("info.json"), "{}");
    List<Check> checks = new ArrayList<>();
    assertThat(GoldenFolder.verify(folder, backend, TestDevice.device(), checks::add))
        .containsExactly("full_plain.safetensors", "other/info.json");
    assertThat(checks).isNotEmpty();
  }

  private List<Check> verify() {
    return verifyFolder(folder);
  }

  private List<Check> verifyFolder(Path path) {
    List<Check> checks = new ArrayList<>();
    GoldenFolder.verify(path, backend, TestDevice.device(), checks::add);
    return checks;
  }

  private void refused(String part) {
    assertThatThrownBy(this::verify)
        .isInstanceOf(UserException.class)
        .hasMessageContaining(part)
        .message()
        .doesNotContain("\n");
  }

  private static Check named(List<Check> checks, String name) {
    return checks.stream().filter(check -> check.name().equals(name)).findFirst().orElseThrow();
  }

  private void copy(List<String> files) throws IOException {
    for (String file : files) {
      Files.write(
          folder.resolve(file),
          Files.readAllBytes(TestDevice.resource("/golden/tiny-a").resolve(file)));
    }
  }

  private void change(String file, String tensor, UnaryOperator<MemorySegment> change) {
    rewrite(
        file,
        tensor,
        entry -> {
          MemorySegment bytes =
              change.apply(MemorySegment.ofArray(entry.bytes().toArray(ValueLayout.JAVA_BYTE)));
          boolean same = bytes.byteSize() == entry.bytes().byteSize();
          long[] shape =
              same ? entry.shape() : new long[] {bytes.byteSize() / entry.dtype().byteSize()};
          return item(entry.name(), entry.dtype(), shape, bytes);
        });
  }

  private void reshape(String file, String tensor, long... shape) {
    rewrite(file, tensor, entry -> item(entry.name(), entry.dtype(), shape, entry.bytes()));
  }

  private static SafetensorsWriter.Item item(
      String name, StorageType dtype, long[] shape, MemorySegment bytes) {
    return new SafetensorsWriter.Item(name, dtype, shape, () -> bytes);
  }

  private void rewrite(
      String file, String tensor, Function<TensorEntry, SafetensorsWriter.Item> change) {
    try (Checkpoint checkpoint = Checkpoints.open(folder.resolve(file))) {
      List<SafetensorsWriter.Item> items = new ArrayList<>();
      for (String name : checkpoint.names()) {
        TensorEntry entry = checkpoint.entry(name);
        items.add(name.equals(tensor) ? change.apply(entry) : SafetensorsWriter.Item.of(entry));
      }
      SafetensorsWriter.write(folder.resolve(file), items, Map.of());
    }
  }

  private static MemorySegment turned(MemorySegment bytes, long at) {
    ValueLayout.OfByte layout = ValueLayout.JAVA_BYTE;
    bytes.set(layout, at, (byte) (1 - bytes.get(layout, at)));
    return bytes;
  }

  private static MemorySegment withFloat(MemorySegment bytes, long at, float value) {
    bytes.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * at, value);
    return bytes;
  }
}
