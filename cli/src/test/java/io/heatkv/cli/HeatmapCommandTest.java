package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Charts of the embedded model's profile. */
class HeatmapCommandTest {
  @TempDir Path folder;

  private Run heatmap(String output, String... options) {
    List<String> arguments =
        new ArrayList<>(List.of("heatmap", "-o", folder.resolve(output).toString()));
    arguments.addAll(List.of(options));
    return Run.of(arguments.toArray(String[]::new));
  }

  @Test
  void theNameSaysTheForm() throws IOException {
    Run picture = heatmap("heat.PNG");
    assertThat(picture.err()).isEmpty();
    assertThat(picture.out()).isEqualTo("wrote " + folder.resolve("heat.PNG") + "\n");
    assertThat(ImageIO.read(folder.resolve("heat.PNG").toFile())).isNotNull();

    // A schedule adds 15 panels of kept heads to 6 of all.
    assertThat(heatmap("all.svg").status()).isZero();
    assertThat(heatmap("kept.svg", "--budget", "10%").status()).isZero();
    assertThat(Files.readString(folder.resolve("all.svg"))).contains("<svg").endsWith("</svg>\n");
    assertThat(Files.size(folder.resolve("kept.svg")))
        .isGreaterThan(Files.size(folder.resolve("all.svg")));
  }

  @Test
  void whatIsWrongIsOneLineAndNothingIsWritten() throws IOException {
    Path damaged = Files.writeString(folder.resolve("damaged.json"), "{\"format\":");
    heatmap("a.gif").assertRefused("expected NAME.png or NAME.svg");
    heatmap(".png").assertRefused("expected NAME.png or NAME.svg");
    heatmap("no/a.png").assertRefused("does not exist");
    heatmap("a.png", "--profile", folder.resolve("none.json").toString())
        .assertRefused("no such file");
    heatmap("a.png", "--profile", damaged.toString()).assertRefused("can't be read as JSON");
    heatmap("a.png", "--budget", "0.001").assertRefused("infeasible");
    heatmap("a.svg", "--budget", "some").assertRefused("some");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(damaged);
    }
  }
}
