package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsWriterTest {
  /** Those of the format whose elements are whole bytes. */
  private static final List<StorageType> TYPES =
      Arrays.stream(StorageType.values())
          .filter(type -> StorageType.named(type.name()).isPresent())
          .filter(type -> !type.name().matches("F[46].*"))
          .toList();

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void readsBackWhatItWrote(long seed) throws IOException {
    Random random = new Random(seed);
    Map<String, Item> items = new HashMap<>();
    Map<String, byte[]> contents = new HashMap<>();
    int count = random.nextInt(40);
    for (int i = 0; i < count; i++) {
      StorageType dtype = TYPES.get(random.nextInt(TYPES.size()));
      long[] shape = random.longs(random.nextInt(5), 0, 7).toArray();
      byte[] content = new byte[(int) dtype.bytesOf(shape)];
      random.nextBytes(content);
      String name = randomName(random);
      contents.put(name, content);
      items.put(name, new Item(name, dtype, shape, () -> MemorySegment.ofArray(content)));
    }
    Map<String, String> metadata = Map.of("format", "pt", "note", "\"\u00e9\n\uD83D\uDD25\"");
    Path file = folder.resolve("m.safetensors");
    List<Item> order = new ArrayList<>(items.values());
    SafetensorsWriter.write(file, order, metadata);
    try (Checkpoint checkpoint = Safetensors.open(file)) {
      assertThat(checkpoint.names()).as("seed %d", seed).isEqualTo(contents.keySet());
      assertThat(checkpoint.metadata()).isEqualTo(metadata);
      contents.forEach((name, content) -> {
        TensorEntry entry = checkpoint.entry(name);
        assertThat(entry.bytes().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(content);
        assertThat(entry.shape()).isEqualTo(items.get(name).shape());
        assertThat(entry.dtype()).isEqualTo(items.get(name).dtype());
        assertThat(entry.bytes().address() % entry.dtype().byteSize()).isZero();
      });
    }
    byte[] first = Files.readAllBytes(file);
    assertThat(ByteBuffer.wrap(first).order(ByteOrder.LITTLE_ENDIAN).getLong() % 8).isZero();
    Collections.shuffle(order, random);
    SafetensorsWriter.write(file, order, metadata);
    assertThat(Files.readAllBytes(file)).as("any order gives the same bytes").isEqualTo(first);
    assertOnly(file);
  }

  @Test
  void layoutIsTheFormats() throws IOException {
    Path file = folder.resolve("m.safetensors");
    SafetensorsWriter.write(
        file,
        List.of(
            new Item("u", StorageType.U8, new long[] {3}, () -> bytes(1, 2, 3)),
            new Item("f", StorageType.F32, new long[] {}, () -> bytes(4, 5, 6, 7))),
        Map.of());
    String header =
        "{\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
            + "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]}}";
    String padded = header + " ".repeat((8 - header.length() % 8) % 8);
    ByteBuffer expected =
        ByteBuffer.allocate(8 + padded.length() + 7)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(padded.length())
            .put(padded.getBytes(StandardCharsets.UTF_8))
            .put(new byte[] {4, 5, 6, 7, 1, 2, 3});
    assertThat(Files.readAllBytes(file)).isEqualTo(expected.array());
  }

  @Test
  void replacesAWholeFileOrLeavesItAlone() throws IOException {
    Path file = TestFiles.write(folder.resolve("m.safetensors"), new byte[] {9});
    Item fails =
        new Item(
            "a",
            StorageType.U8,
            new long[] {1},
            () -> {
              throw new IllegalStateException("supplier");
            });
    Item wrong = new Item("b", StorageType.U8, new long[] {2}, () -> bytes(1));
    for (Item item : List.of(fails, wrong)) {
      assertThatThrownBy(() -> SafetensorsWriter.write(file, List.of(item), Map.of()))
          .isInstanceOf(RuntimeException.class);
      assertThat(Files.readAllBytes(file)).containsExactly(9);
      assertOnly(file);
    }
  }

  @Test
  void refusesTargetsThatCannotBe() throws IOException {
    Path orphan = folder.resolve("none").resolve("m.safetensors");
    UserException noParent =
        catchThrowableOfType(
            UserException.class, () -> SafetensorsWriter.write(orphan, List.of(), Map.of()));
    assertThat(noParent).hasMessageContaining("cannot be written: no such file or folder");
    TestFiles.assertOneLine(noParent, orphan);
    UserException isFolder =
        catchThrowableOfType(
            UserException.class, () -> SafetensorsWriter.write(folder, List.of(), Map.of()));
    assertThat(isFolder).hasMessageContaining("is a folder; expected the name of a file to write");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void refusesNamesThatNoReaderWouldTake() {
    Path file = folder.resolve("m.safetensors");
    Item a = new Item("a", StorageType.U8, new long[] {0}, () -> bytes());
    Item lone = new Item("\uD800", StorageType.U8, new long[] {0}, () -> bytes());
    Item notes = new Item("__metadata__", StorageType.U8, new long[] {0}, () -> bytes());
    for (List<Item> items : List.of(List.of(a, a), List.of(lone), List.of(notes))) {
      assertThatThrownBy(() -> SafetensorsWriter.write(file, items, Map.of()))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> SafetensorsWriter.write(file, List.of(a), Map.of("k", "\uDC00")))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(file).doesNotExist();
  }

  private void assertOnly(Path file) throws IOException {
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactly(file);
    }
  }

  private static String randomName(Random random) {
    int[] points =
        random
            .ints(1 + random.nextInt(12), 0, 0x2FFFF)
            .filter(p -> p < 0xD800 || p > 0xDFFF)
            .toArray();
    return "t" + new String(points, 0, points.length);
  }

  private static MemorySegment bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return MemorySegment.ofArray(bytes);
  }
}
