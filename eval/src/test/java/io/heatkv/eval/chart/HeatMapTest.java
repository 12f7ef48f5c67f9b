package io.heatkv.eval.chart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import io.heatkv.image.PngImage;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** Areas of colours in charts of a model whose head 1 of layer 2 alone attends to anything. */
class HeatMapTest {
  private static final int LEAST = 0xfde725;
  private static final int MOST = 0x440154;
  private static final int DROPPED = 0xd4d4d4;
  private static final int SINK = 0x8fb8de;
  private static final int LAYERS = 4;
  private static final int HEADS = 2;

  private static CalibrationProfile started() {
    CalibrationSetup setup =
        new CalibrationSetup(
            "tiny",
            "00ff",
            LAYERS,
            HEADS,
            ScaleGrids.parse("1x1,2x2,4x4,6x6"),
            1,
            List.of(1.0),
            List.of(1.0),
            1);
    return CalibrationProfile.start(setup, PromptSet.of(List.of("a"), 0));
  }

  private static CalibrationProfile profile() {
    double[][][][] masses = new double[4][4][LAYERS][HEADS];
    for (double[][][] target : masses) {
      for (double[][] source : target) {
        source[2][1] = 1;
      }
    }
    return started().plus(masses);
  }

  private static PngImage drawn(double budget) {
    CalibrationProfile profile = profile();
    ScheduleShape shape = ScheduleShape.of(LAYERS, HEADS, profile.setup().grids(), 1);
    CacheSchedule schedule = PruningSchedule.of(shape, profile.orders(), budget);
    return new HeatMap("tiny.heatkv.json", profile, Optional.of(schedule)).png();
  }

  private static long pixels(PngImage image, int colour) {
    byte[] rgb = image.rgb();
    long count = 0;
    for (int at = 0; at < rgb.length; at += 3) {
      int found = (rgb[at] & 0xff) << 16 | (rgb[at + 1] & 0xff) << 8 | rgb[at + 2] & 0xff;
      count += found == colour ? 1 : 0;
    }
    return count;
  }

  @Test
  void oneHeadOfEightIsHotInEachScoredScaleAndSinksHaveTheirOwnColour() {
    PngImage image = new HeatMap("tiny.heatkv.json", profile(), Optional.empty()).png();
    double cells = pixels(image, LEAST) / 14.0;
    assertThat((double) pixels(image, MOST) / 2).isCloseTo(cells, within(0.1 * cells));
    assertThat(pixels(image, SINK) / 8.0).isCloseTo(cells, within(0.1 * cells));
    // No head is dropped where no schedule is shown; edges of letters may be as grey.
    assertThat((double) pixels(image, DROPPED)).isLessThan(0.05 * cells);
  }

  /** Of source scale 1 at scales 2 and 3, and of source scale 2 at scale 3. */
  @Test
  void droppedHeadsAreGreyAndTheHotOneStays() {
    PngImage full = drawn(1);
    PngImage half = drawn(0.5);
    double cell = pixels(full, MOST) / 5.0;
    // Before scale 3, ceil(8 (21 - 10.5) / (21 - 1)) = 5 of 8 heads of either source are gone; at
    // scale 2 none, since 1 + 4 tokens of 21 fit.
    double grey = pixels(half, DROPPED) - pixels(full, DROPPED);
    assertThat(grey / cell).isCloseTo(10, within(1.0));
    assertThat((double) pixels(half, MOST)).isCloseTo(5 * cell, within(0.1 * cell));
  }

  @Test
  void vectorsAreWellFormedAndOfTheSizeOfThePixels() throws Exception {
    HeatMap map = new HeatMap("tiny.heatkv.json", profile(), Optional.empty());
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setFeature("http://apache.org/xml/features/nonvalidating/load-external-dtd", false);
    Element root =
        factory
            .newDocumentBuilder()
            .parse(new ByteArrayInputStream(map.svg().getBytes(StandardCharsets.UTF_8)))
            .getDocumentElement();
    assertThat(root.getTagName()).isEqualTo("svg");
    assertThat(root.getAttribute("viewBox"))
        .isEqualTo("0 0 " + map.png().width() + " " + map.png().height());
  }

  @Test
  void aProfileWithoutAPromptIsRefused() {
    assertThatThrownBy(() -> new HeatMap("a.heatkv.json", started(), Optional.empty()))
        .isInstanceOf(UserException.class)
        .hasMessage("a.heatkv.json: has no prompt done; calibrate at least one");
  }
}
