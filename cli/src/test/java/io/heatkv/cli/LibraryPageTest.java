package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import java.awt.image.BufferedImage;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program with which docs/library.md begins, as a reader would run it. */
class LibraryPageTest {
  @TempDir Path folder;

  @Test
  void theProgramDrawsThePicture() throws Exception {
    String page = Files.readString(Path.of("../docs/library.md"));
    String program = page.split("```java\n", 2)[1].split("```", 2)[0];
    assertThat(program.lines().count()).isLessThanOrEqualTo(15);
    Files.writeString(folder.resolve("Example.java"), program);
    ProcessBuilder builder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "Example.java")
            .directory(folder.toFile())
            .redirectErrorStream(true);
    // Waiting for a second thread costs more on a busy machine.
    builder.environment().put("OMP_NUM_THREADS", "1");
    Process process = builder.start();
    assertThat(process.inputReader().readAllAsString()).isEmpty();
    assertThat(process.waitFor()).isZero();
    Path picture = folder.resolve("apple.png");
    assertThat(ImageIO.read(picture.toFile()))
        .returns(256, BufferedImage::getWidth)
        .returns(256, BufferedImage::getHeight);
    assertThat(Png.readMetadata(picture))
        .extracting(PngText::text)
        .containsExactly("a red apple with a green leaf\nSeed: 0, Size: 256x256");
  }
}
