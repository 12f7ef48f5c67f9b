package io.heatkv.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The sums of a model folder, its small files, and the room that it takes. */
class FolderSumsTest {
  @TempDir Path folder;

  private static String sha256(String text) throws Exception {
    return HexFormat.of()
        .formatHex(
            MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** What a subfolder has summed is believed, not read; of the rest, what isn't large. */
  @Test
  void sumsAreOfTheFolderAndItsSubfolders() throws Exception {
    Path part = Files.createDirectory(folder.resolve("part"));
    Files.writeString(part.resolve("shard"), "one");
    Files.writeString(part.resolve("SHA256SUMS"), sha256("other") + "  shard\n");
    Files.writeString(part.resolve("b.json"), "two");
    Files.writeString(folder.resolve("a.json"), "three");
    Files.createDirectories(part.resolve("deep"));
    Files.writeString(part.resolve("deep/c"), "four");
    try (RandomAccessFile large = new RandomAccessFile(folder.resolve("large").toFile(), "rw");
        RandomAccessFile most = new RandomAccessFile(folder.resolve("most").toFile(), "rw")) {
      large.setLength((64L << 20) + 1);
      most.setLength(64L << 20);
    }
    FolderSums.write(folder);
    assertThat(Files.readAllLines(folder.resolve("SHA256SUMS")))
        .containsExactly(
            sha256("three") + "  a.json",
            // Of 64 MiB of zeros.
            "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351  most",
            sha256("two") + "  part/b.json",
            sha256("other") + "  part/shard");
    Files.writeString(folder.resolve("a.json"), "five");
    FolderSums.write(folder);
    assertThat(Files.readAllLines(folder.resolve("SHA256SUMS")).getFirst())
        .isEqualTo(sha256("five") + "  a.json");
  }

  /** Whoever has the old file open goes on reading the old one. */
  @Test
  void filesAreReplacedNotWrittenInto() throws IOException {
    Path target = Files.writeString(folder.resolve("target"), "the old and longer text");
    Path opened = Files.createLink(folder.resolve("opened"), target);
    FolderSums.replace(target, new byte[] {1});
    assertThat(Files.readAllBytes(target)).containsExactly(1);
    assertThat(opened).hasContent("the old and longer text");
    Path taken = Files.createDirectories(folder.resolve("taken/inside"));
    assertThatThrownBy(() -> FolderSums.replace(taken.getParent(), new byte[1]))
        .isInstanceOf(IOException.class);
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactlyInAnyOrder(target, opened, taken.getParent());
    }
  }

  /** A file of zeros takes no room, but is as long as it says. */
  @Test
  void whatIsThereAlreadyNeedsNoRoom() throws IOException {
    Path model = folder.resolve("new/model");
    assertThatThrownBy(() -> DiskSpace.require(model, 1L << 60))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(model + ": needs 1073741824.00 GiB more, ");
    assertThat(model).isDirectory();
    long length = Files.getFileStore(model).getUsableSpace() + (8L << 30);
    assertThatThrownBy(() -> DiskSpace.require(model, length)).isInstanceOf(UserException.class);
    Files.createDirectory(model.resolve("part"));
    try (RandomAccessFile there =
        new RandomAccessFile(model.resolve("part/shard").toFile(), "rw")) {
      there.setLength(length);
      assertThatCode(() -> DiskSpace.require(model, length)).doesNotThrowAnyException();
    }
    Path file = Files.writeString(folder.resolve("file"), "");
    assertThatThrownBy(() -> DiskSpace.require(file, 0))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file + ": can't be made a folder");
  }
}
