package io.heatkv.verify.var;

import io.heatkv.autoencoder.GroupNorm;
import io.heatkv.autoencoder.Layers;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.CategoricalSampler;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.var.VarConfig;
import io.heatkv.var.vae.MultiScaleVq;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqVae;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import io.heatkv.weights.Weights;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** Single functions of VAR: resizing, norms, filters, which convolution serves a scale; files. */
public final class GoldenVarUnits implements GoldenReader {
  private static final String FILE = "unit.safetensors";
  private static final String PHI_TABLES = "phi_tables.json";
  private static final Pattern INPUT =
      Pattern.compile("((bicubic|area|phi|layernorm|groupnorm)(?:\\.([0-9x_to]{1,20}))?)\\.in");
  private static final Pattern FILTERED =
      Pattern.compile("filter\\.k(\\d{1,6})_p(\\d\\.?\\d{0,6})\\.out");
  private static final Pattern ARCHIVE =
      Pattern.compile("tiny_(?:var(?:_[a-z0-9]{1,40})?|vqvae)\\.pth");

  @Override
  public boolean isIn(Golden golden) {
    return GoldenVar.isIn(golden) && golden.has(FILE);
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    Map<String, Comparison> comparisons = new TreeMap<>();
    try (Checkpoint recorded = golden.open(FILE);
        Checkpoint weights = golden.open(GoldenVar.TOKENIZER);
        VqVae vae =
            new VqVae(
                VqConfig.infer(weights), weights, golden.backend(), golden.device(), DType.F32);
        Weights own = new Weights(weights, golden.backend(), golden.device())) {
      GroupNorm norm = new Layers(own, weights, DType.F32, "", "").norm("decoder.norm_out");
      for (String name : recorded.names()) {
        Matcher input = INPUT.matcher(name);
        Matcher filtered = FILTERED.matcher(name);
        try (Scope _ = Scope.open()) {
          if (input.matches()) {
            String out = input.group(1) + ".out";
            comparisons
                .computeIfAbsent(input.group(2), kind -> new Comparison("VAR " + kind, 1e-5))
                .add(computed(golden, vae, norm, recorded, input, out), recorded, out);
          } else if (filtered.matches()) {
            comparisons
                .computeIfAbsent("filter", kind -> new Comparison("VAR " + kind, 1e-6))
                .add(filtered(golden, recorded, filtered), recorded, name);
          }
        }
      }
    }
    comparisons.values().forEach(comparison -> comparison.report(checks));
    if (golden.has(PHI_TABLES)) {
      phiTables(JsonObject.read(golden.folder().resolve(PHI_TABLES))).report(checks);
    }
    archives(golden, checks);
  }

  private static Tensor computed(
      Golden golden, VqVae vae, GroupNorm norm, Checkpoint recorded, Matcher name, String out) {
    String kind = name.group(2);
    Tensor in = golden.tensor(recorded, name.group(), kind.equals("layernorm") ? 2 : 4);
    long[] target = recorded.entry(out).shape();
    return switch (kind) {
      case "bicubic" -> Ops.interpolateBicubic(in, target[2], target[3]);
      case "area" -> Ops.interpolateArea(in, target[2], target[3]);
      case "phi" -> vae.quantizer().smooth(Integer.parseInt(name.group(3)), in);
      case "groupnorm" -> norm.apply(in);
      default -> {
        Tensor gain = Tensor.full(in.backend(), 1, DType.F32, in.device(), 1, in.size(1));
        Tensor shift = gain.mul(0);
        yield in.backend()
            .ops(in.device())
            .norm(in.unsqueeze(0), gain, shift, VarConfig.EPSILON, DType.F32);
      }
    };
  }

  private static Tensor filtered(Golden golden, Checkpoint recorded, Matcher name) {
    Tensor logits = golden.tensor(recorded, "filter.logits", 3);
    Tensor rows = logits.narrow(0, 0, recorded.entry(name.group()).shape()[0]);
    double topP = Double.parseDouble(name.group(2));
    // The official code filters nothing at 0.
    return Ops.softmax(
        CategoricalSampler.filtered(rows, Integer.parseInt(name.group(1)), topP == 0 ? 1 : topP));
  }

  private static Comparison phiTables(JsonObject tables) {
    Comparison comparison = new Comparison("VAR shared convolutions", 0);
    JsonObject numbers = tables.object("by_number_of_scales");
    int phis = tables.size("share_quant_resi");
    for (String scales : numbers.values().keySet()) {
      compare(comparison, numbers.object(scales).list("phi"), phis);
    }
    for (Object item : tables.list("schedules")) {
      if (item instanceof Map<?, ?> schedule && schedule.get("phi") instanceof List<?> table) {
        compare(comparison, table, phis);
      }
    }
    JsonObject others = tables.object("other_share_quant_resi");
    for (String count : others.values().keySet()) {
      compare(comparison, others.object(count).list("phi_10_scales"), Integer.parseInt(count));
    }
    return comparison;
  }

  private static void compare(Comparison comparison, List<?> table, int phis) {
    comparison.addExact(
        IntStream.range(0, table.size())
            .mapToObj(scale -> (double) MultiScaleVq.phi(scale, table.size(), phis))
            .toList(),
        table);
  }

  /** PyTorch's archives of the same weights. */
  private static void archives(Golden golden, Consumer<Check> checks) {
    for (String file : golden.files(ARCHIVE)) {
      String other = file.replace(".pth", ".safetensors");
      if (golden.has(other)) {
        Comparison comparison = new Comparison("weights of " + file, 0);
        try (Checkpoint archive = golden.open(file);
            Checkpoint plain = golden.open(other)) {
          comparison.addExact(archive.names(), plain.names());
          for (String name : plain.names()) {
            comparison.addExact(
                Arrays.equals(
                    Comparison.values(golden.backend(), archive, name),
                    Comparison.values(golden.backend(), plain, name)),
                true);
          }
        }
        comparison.report(checks);
      }
    }
  }
}
