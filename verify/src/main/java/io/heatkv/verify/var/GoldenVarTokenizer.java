package io.heatkv.verify.var;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.var.vae.MultiScaleVq;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqVae;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** VAR's image tokenizer: a picture's features, tokens of every scale, and the picture of these. */
public final class GoldenVarTokenizer implements GoldenReader {
  private static final String STORED = "vqvae_io.safetensors";
  private static final String FORMULA = "vqvae_formula_io.safetensors";

  @Override
  public boolean isIn(Golden golden) {
    return GoldenVar.isIn(golden) && (golden.has(STORED) || golden.has(FORMULA));
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    JsonObject info = GoldenVar.info(golden);
    if (golden.has(STORED)) {
      try (Checkpoint weights = golden.open(GoldenVar.TOKENIZER)) {
        verify(golden, STORED, weights, scales(info.list("patch_nums")), "tokenizer ", checks);
      }
    }
    if (golden.has(FORMULA)) {
      JsonObject formula = info.object("vqvae_formula");
      try (Checkpoint weights = FormulaWeights.of(formula)) {
        ScaleGrids grids = scales(formula.list("v_patch_nums"));
        verify(golden, FORMULA, weights, grids, "tokenizer by formula ", checks);
      }
    }
  }

  private static ScaleGrids scales(List<?> edges) {
    return new ScaleGrids(
        edges.stream()
            .map(edge -> edge instanceof Double number ? number.intValue() : 0)
            .map(edge -> new ScaleSize(edge, edge))
            .toList());
  }

  private static void verify(
      Golden golden,
      String file,
      Checkpoint weights,
      ScaleGrids grids,
      String label,
      Consumer<Check> checks) {
    Comparison features = new Comparison(label + "features", 1e-4);
    Comparison tokens = new Comparison(label + "tokens", 0);
    Comparison rests = new Comparison(label + "rests", 1e-4);
    Comparison sums = new Comparison(label + "summed codes", 1e-5);
    Comparison inputs = new Comparison(label + "scale inputs", 1e-5);
    Comparison pixels = new Comparison(label + "pixels", 1e-4);
    Comparison levels = new Comparison(label + "bytes", 1);
    try (Checkpoint recorded = golden.open(file);
        VqVae vae =
            new VqVae(
                VqConfig.infer(weights), weights, golden.backend(), golden.device(), DType.F32);
        Scope _ = Scope.open()) {
      Tensor picture =
          golden
              .tensor(recorded, "picture_u8", 4)
              .permute(0, 3, 1, 2)
              .to(DType.F32)
              .contiguous()
              .mul(1 / 127.5)
              .add(-1);
      features.add(vae.encoderOutput(picture), recorded, "encoder_out");
      Tensor encoded = vae.encode(picture);
      features.add(encoded, recorded, "f");
      MultiScaleVq.Quantized quantized = vae.quantizer().quantize(encoded, grids);
      List<Tensor> next = new ArrayList<>();
      for (int scale = 0; scale < grids.count(); scale++) {
        tokens.addEqual(quantized.tokens().get(scale), recorded, "idx." + scale);
        rests.add(quantized.rests().get(scale), recorded, "rest." + scale);
        Tensor sum = quantized.sums().get(scale);
        sums.add(sum, recorded, "f_hat." + scale);
        if (scale < grids.count() - 1) {
          next.add(vae.quantizer().nextInput(sum, grids.size(scale + 1)));
        }
      }
      inputs.add(Ops.cat(1, next), recorded, "var_input");
      Tensor sum = quantized.sums().getLast();
      if (recorded.find("recon_raw").isPresent()) {
        pixels.add(vae.decodeUnlimited(sum), recorded, "recon_raw");
      }
      levels.add(
          GoldenVarRuns.levels(vae.decode(sum)),
          Comparison.values(golden.backend(), recorded, "recon_u8"),
          recorded.path() + ": tensor recon_u8");
    }
    for (Comparison each : List.of(features, tokens, rests, sums, inputs, pixels, levels)) {
      each.report(checks);
    }
  }
}
