package io.heatkv.verify.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.family.Pixels;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.function.Consumer;

/** The image decoder: pixels as numbers and as bytes. */
public final class GoldenVae implements GoldenReader {
  private static final String WEIGHTS = "tiny_vae.safetensors";
  private static final String RECORDED = "tiny_vae_io.safetensors";
  private static final String IN = "vae_in.";

  @Override
  public boolean isIn(Golden golden) {
    return golden.has(WEIGHTS, RECORDED);
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    Comparison pixels = new Comparison("decoded pixels", 1e-4);
    Comparison bytes = new Comparison("decoded bytes", 1);
    try (Checkpoint weights = golden.open(WEIGHTS);
        Checkpoint recorded = golden.open(RECORDED);
        BsqVae vae =
            new BsqVae(
                VaeConfig.infer(weights), weights, golden.backend(), golden.device(), DType.F32)) {
      for (String name : recorded.names()) {
        if (name.startsWith(IN)) {
          String suffix = name.substring(IN.length());
          try (Scope _ = Scope.open()) {
            Tensor image = vae.decode(golden.tensor(recorded, name, 4));
            pixels.add(image, recorded, "vae_out." + suffix);
            String levels = "image_bgr_u8." + suffix;
            if (recorded.find(levels).isPresent()) {
              bytes.add(
                  flipped(Pixels.toRgb(image.select(0, 0))),
                  Comparison.values(golden.backend(), recorded, levels),
                  levels);
            }
          }
        }
      }
    }
    pixels.report(checks);
    bytes.report(checks);
  }

  /** Interleaved RGB as BGR levels. */
  private static double[] flipped(byte[] rgb) {
    double[] bgr = new double[rgb.length];
    for (int i = 0; i < rgb.length; i++) {
      bgr[i - i % 3 + 2 - i % 3] = rgb[i] & 0xFF;
    }
    return bgr;
  }
}
