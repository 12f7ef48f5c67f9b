package io.heatkv.infinity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** All templates at all resolutions against the official table. */
class ScaleTemplateTest {
  @Test
  void fifteenTemplatesAtFourResolutions() {
    JsonObject official =
        JsonObject.read(TestDevice.resource("/golden-extra/recorded.json")).object("schedules");
    assertThat(official.values()).hasSize(15);
    assertThat(ScaleTemplate.values()).hasSize(15);
    for (String ratio : official.values().keySet()) {
      ScaleTemplate template = ScaleTemplate.nearest(Double.parseDouble(ratio));
      assertThat(template.heightDivWidth()).isEqualTo(Double.parseDouble(ratio));
      List<?> largest = official.object(ratio).list("1M");
      for (Resolution resolution : Resolution.values()) {
        ScaleGrids grids = template.grids(resolution);
        assertThat(grids.scales().stream().map(ScaleTemplateTest::pair).toList())
            .as(ratio + " " + resolution)
            .isEqualTo(official.object(ratio).list(resolution.toString()));
        // Rotary positions refer to the last 1M grid, also at smaller resolutions.
        assertThat(pair(ScaleTemplate.of(grids).sizes().getLast())).isEqualTo(largest.getLast());
      }
    }
  }

  /** As numpy's argmin over the official table; these ratios are exact in binary. */
  @ParameterizedTest
  @CsvSource({
    "1.125, 1",
    "1.625, 1.5",
    "1.875, 1.75",
    "2.25, 2",
    "2.75, 2.5",
    "1.126, 1.25",
    "1.124, 1",
    "100, 3",
    "0.001, 0.333"
  })
  void theFirstOfEquallyNearTemplates(double ratio, double expected) {
    assertThat(ScaleTemplate.nearest(ratio).heightDivWidth()).isEqualTo(expected);
  }

  /** 4:5 is nearest to 0.8, the inverse of 1.25, whose last grid is 56 rows of 70. */
  @Test
  void othersReferToTheNearestOfTheirLastGrid() {
    assertThat(ScaleTemplate.of(ScaleGrids.parse("1x1,2x3,4x5")).sizes().getLast())
        .isEqualTo(new ScaleSize(56, 70));
  }

  @ParameterizedTest
  @CsvSource({"1:3, 3", "3:1, 0.333", "0.333, 3", "3.0009, 0.333", "16:9, 0.571"})
  void aspectsAreThoseOfTheNearest(String text, double expected) {
    assertThat(ScaleTemplate.nearest(AspectRatio.parse(text)).heightDivWidth()).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(strings = {"3.002", "0.331", "301:100", "1:4"})
  void otherAspectsAreOutOfRange(String text) {
    assertThatThrownBy(() -> ScaleTemplate.nearest(AspectRatio.parse(text)))
        .isInstanceOf(UserException.class)
        .hasMessage("aspect ratio '" + text + "' is out of range; expected 1:3 to 3:1");
  }

  private static List<Double> pair(ScaleSize size) {
    return List.of((double) size.height(), (double) size.width());
  }
}
