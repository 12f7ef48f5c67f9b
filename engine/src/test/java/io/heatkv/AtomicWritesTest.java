package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.error.UserException;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.json.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files are written beside their place, then moved: nobody ever sees a half of one. */
class AtomicWritesTest {
  private static final PngImage DOT = new PngImage(1, 1, new byte[] {1, 2, 3});

  @TempDir Path folder;

  static Stream<Arguments> writers() {
    return Stream.of(
        writer("picture", file -> Png.write(file, DOT, List.of())),
        writer("text", file -> JsonFile.write(file, "new\n")),
        writer("JSON", file -> JsonFile.write(file, json -> json.writeNumber(1))),
        writer("tensors", file -> SafetensorsWriter.write(file, List.of(), Map.of())));
  }

  private static Arguments writer(String name, Consumer<Path> write) {
    return Arguments.of(name, write);
  }

  /** Whoever has the old file open, here by another name, goes on reading the old one. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("writers")
  void theOldFileIsReplacedNotWrittenInto(String name, Consumer<Path> write) throws IOException {
    Path fresh = folder.resolve("fresh");
    write.accept(fresh);
    byte[] longer = new byte[10_000];
    Path target = Files.write(folder.resolve("target"), longer);
    Path opened = Files.createLink(folder.resolve("opened"), target);
    write.accept(target);
    assertThat(target).hasSameBinaryContentAs(fresh);
    assertThat(Files.readAllBytes(opened)).isEqualTo(longer);
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactlyInAnyOrder(fresh, target, opened);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("writers")
  void aFailedWriteLeavesNothing(String name, Consumer<Path> write) throws IOException {
    Path full = Files.createDirectory(folder.resolve("target"));
    Path inside = Files.writeString(full.resolve("inside"), "old");
    assertThat(catchThrowable(() -> write.accept(full)))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(full + ": ")
        .hasMessageNotContaining("\n");
    assertThat(inside).hasContent("old");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactly(full);
    }
  }
}
