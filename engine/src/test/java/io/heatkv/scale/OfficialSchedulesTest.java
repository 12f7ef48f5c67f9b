package io.heatkv.scale;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.json.JsonObject;
import java.util.List;
import org.junit.jupiter.api.Test;

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
        ScaleSchedule schedule = template.schedule(resolution);
        assertThat(schedule.scales().stream().map(OfficialSchedulesTest::pair).toList())
            .as(ratio + " " + resolution)
            .isEqualTo(official.object(ratio).list(resolution.toString()));
        assertThat(List.of((double) schedule.ropeRows(), (double) schedule.ropeColumns()))
            .isEqualTo(largest.getLast());
      }
    }
  }

  private static List<Double> pair(ScaleSize size) {
    return List.of((double) size.height(), (double) size.width());
  }
}
