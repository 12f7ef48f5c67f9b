package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.heatkv.json.JsonObject;
import java.awt.image.BufferedImage;
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
  private static final int SINK = 0x8fb8de;
  private static final int DROPPED = 0xd4d4d4;

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

  /** Areas of colour in a chart of the profile, which has 3 sink scales of 9 that are stored. */
  @Test
  void sinkScalesHaveTheirOwnColour() throws IOException {
    assertThat(heatmap("heat.png").status()).isZero();
    BufferedImage picture = ImageIO.read(folder.resolve("heat.png").toFile());
    // Nine panels in three rows and columns of the same size, sink scales in the first row; the
    // colour also stands in the legend.
    int width = picture.getWidth() / 3;
    for (int column = 0; column < 3; column++) {
      int left = column * width;
      assertThat(pixels(picture, SINK, left, width, true)).isGreaterThan(30_000);
      assertThat(pixels(picture, SINK, left, width, false)).isLessThan(500);
      // Sinks have no scores, all the others have.
      assertThat(pixels(picture, DROPPED, left, width, true)).isLessThan(500);
      assertThat(pixels(picture, DROPPED, left, width, false)).isLessThan(500);
    }
  }

  /** Grey is what the schedule that the command of that name prints has removed at each scale. */
  @Test
  void droppedHeadsAreGrey() throws IOException {
    long all = greyPixels("1", "paper");
    double[] cell = new double[3];
    String[][] cases = {{"10%", "greedy"}, {"0.1", "paper"}, {"0.3", "greedy"}};
    for (int i = 0; i < cases.length; i++) {
      Run run =
          Run.of("schedule", "--budget", cases[i][0], "--allocation", cases[i][1], "--canonical");
      JsonObject schedule = JsonObject.parse(folder, run.out());
      long removed = 0;
      // Each scale lists what is gone by then; what was never stored has no panel there.
      JsonObject scales = schedule.object("removed_heads_by_scale");
      for (String scale : scales.values().keySet()) {
        removed +=
            scales.list(scale).stream()
                .filter(atom ->
                    ((Number) ((List<?>) atom).getFirst()).intValue() < Integer.parseInt(scale))
                .count();
      }
      assertThat(removed).isGreaterThan(200);
      cell[i] = (greyPixels(cases[i][0], cases[i][1]) - all) / (double) removed;
    }
    // Edges between cells are blurred.
    assertThat(cell[0]).isGreaterThan(100).isCloseTo(cell[1], withinPercentage(10));
    assertThat(cell[2]).isCloseTo(cell[1], withinPercentage(10));
  }

  private long greyPixels(String budget, String allocation) throws IOException {
    assertThat(heatmap("grey.png", "--budget", budget, "--allocation", allocation).status())
        .isZero();
    BufferedImage picture = ImageIO.read(folder.resolve("grey.png").toFile());
    return pixels(picture, DROPPED, 0, picture.getWidth(), true)
        + pixels(picture, DROPPED, 0, picture.getWidth(), false);
  }

  /** Pixels of a colour in some columns, of the upper half or the lower. */
  private static long pixels(BufferedImage image, int colour, int left, int width, boolean upper) {
    int middle = image.getHeight() / 2;
    long count = 0;
    for (int y = upper ? 0 : middle; y < (upper ? middle : image.getHeight()); y++) {
      for (int x = left; x < left + width; x++) {
        count += (image.getRGB(x, y) & 0xffffff) == colour ? 1 : 0;
      }
    }
    return count;
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
    heatmap("a.png", "--budget", "0.0001").assertRefused("infeasible");
    heatmap("a.png", "--budget", "0.01", "--allocation", "paper").assertRefused("infeasible");
    heatmap("a.svg", "--budget", "some").assertRefused("some");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(damaged);
    }
  }
}
