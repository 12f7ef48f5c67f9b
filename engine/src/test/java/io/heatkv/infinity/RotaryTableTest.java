package io.heatkv.infinity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import java.lang.foreign.ValueLayout;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The three modes at all templates against tables of the official code. */
class RotaryTableTest {
  private static final Pattern NAME =
      Pattern.compile("rotary(\\d)\\.head(\\d+)\\.([\\d.]+)\\.tokens");

  @Test
  void agreesWithTheOfficialTables() {
    int tables = 0;
    try (Checkpoint recorded =
        Checkpoints.open(TestDevice.resource("/golden-extra/recorded.safetensors"))) {
      for (String name : recorded.names()) {
        Matcher matcher = NAME.matcher(name);
        if (!matcher.matches()) {
          continue;
        }
        tables++;
        int headDim = Integer.parseInt(matcher.group(2));
        ScaleTemplate template = ScaleTemplate.nearest(Double.parseDouble(matcher.group(3)));
        float[] table =
            RotaryTable.build(
                template.grids(Resolution.P1),
                template,
                headDim,
                RotaryNormalization.of(Integer.parseInt(matcher.group(1))));
        long[] tokens = recorded.entry(name).bytes().toArray(ValueLayout.JAVA_LONG_UNALIGNED);
        float[] values =
            recorded
                .entry(name.replace(".tokens", ".values"))
                .bytes()
                .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        assertThat(values).hasSize(tokens.length * headDim);
        for (int i = 0; i < values.length; i++) {
          int token = (int) tokens[i / headDim];
          assertThat(table[token * headDim + i % headDim])
              .as(name + " token " + token + " value " + i % headDim)
              .isCloseTo(values[i], within(1e-5f));
        }
      }
    }
    assertThat(tables).isEqualTo(3 * 2 * 15);
  }
}
