package io.heatkv.scale;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.json.JsonObject;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** All templates at all resolutions against the official table. */
class OfficialSchedulesTest {
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
        assertThat(grids.scales().stream().map(OfficialSchedulesTest::pair).toList())
            .as(ratio + " " + resolution)
            .isEqualTo(official.object(ratio).list(resolution.toString()));
        assertThat(List.of((double) grids.ropeRows(), (double) grids.ropeColumns()))
            .isEqualTo(largest.getLast());
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

  private static List<Double> pair(ScaleSize size) {
    return List.of((double) size.height(), (double) size.width());
  }
}
