package io.heatkv.verify.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.RotaryTable;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Single functions: interpolation, codes of bits, rotary tables. */
public final class GoldenUnits implements GoldenReader {
  private static final String FILE = "unit.safetensors";
  private static final String BITS = "bsq.bits";
  private static final Pattern INTERPOLATION = Pattern.compile("(interp\\..+)\\.in");
  private static final Pattern ROTARY =
      Pattern.compile("rope\\.head(\\d{1,4})\\.(\\d\\.?\\d{0,5})\\.cos_sin_first(\\d{1,2})scales");

  @Override
  public boolean isIn(Golden golden) {
    return golden.has(FILE);
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    try (Checkpoint recorded = golden.open(FILE)) {
      Comparison interpolation = new Comparison("interpolation", 1e-5);
      Comparison codes = new Comparison("codes of bits", 1e-6);
      Comparison rotary = new Comparison("rotary tables", 1e-5);
      for (String name : recorded.names()) {
        try (Scope _ = Scope.open()) {
          Matcher in = INTERPOLATION.matcher(name);
          Matcher table = ROTARY.matcher(name);
          if (in.matches()) {
            interpolate(golden, recorded, name, in.group(1) + ".out", interpolation);
          } else if (table.matches()) {
            rotary(golden, recorded, table, rotary);
          } else if (name.equals(BITS)) {
            codes(golden, recorded, codes);
          }
        }
      }
      for (Comparison comparison : new Comparison[] {interpolation, codes, rotary}) {
        comparison.report(checks);
      }
    }
  }

  private static void interpolate(
      Golden golden, Checkpoint recorded, String in, String out, Comparison comparison) {
    Tensor source = golden.tensor(recorded, in, 5).select(2, 0);
    Tensor target = golden.tensor(recorded, out, 5);
    comparison.add(Ops.interpolate(source, target.size(3), target.size(4)), recorded, out);
  }

  private static void codes(Golden golden, Checkpoint recorded, Comparison comparison) {
    // [batch, 1, rows, columns, channels]
    Tensor bits = golden.tensor(recorded, BITS, 5);
    ScaleSize size = new ScaleSize(Math.toIntExact(bits.size(2)), Math.toIntExact(bits.size(3)));
    int channels = Math.toIntExact(bits.size(4));
    comparison.add(
        new MultiScaleBsq(channels, false)
            .codes(bits.reshape(bits.size(0), size.tokens(), channels), size),
        recorded,
        "bsq.codes");
  }

  private static void rotary(
      Golden golden, Checkpoint recorded, Matcher name, Comparison comparison) {
    int headDim = Integer.parseInt(name.group(1));
    ScaleTemplate template = ScaleTemplate.nearest(Double.parseDouble(name.group(2)));
    int scales = Math.min(Integer.parseInt(name.group(3)), template.sizes().size());
    ScaleGrids grids = new ScaleGrids(template.sizes().subList(0, scales));
    float[] table = RotaryTable.build(grids, template, headDim, RotaryNormalization.ROUNDED);
    // Recorded as cosines, then sines.
    comparison.add(
        Tensor.of(golden.backend(), table, grids.totalTokens(), headDim / 2, 2).permute(2, 0, 1),
        recorded,
        name.group());
  }
}
