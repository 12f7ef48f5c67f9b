package io.heatkv.verify.var;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvStorage;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.family.Conditioning;
import io.heatkv.family.Pixels;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.json.JsonObject;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.sample.CategoricalSampler;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import io.heatkv.verify.RecordedMethod;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Runs of VAR's transformer, with all it remembers or under a pruning schedule. */
public final class GoldenVarRuns implements GoldenReader {
  private static final Pattern FILE =
      Pattern.compile(
          "(?:full|heat)_([a-z0-9]{1,40})(?:_b(\\d?\\.?\\d{1,20}))?"
              + "_cfg(\\d{1,3}\\.?\\d{0,5})_(argmax|sampled)\\.safetensors");

  @Override
  public boolean isIn(Golden golden) {
    return GoldenVar.isIn(golden) && !golden.files(FILE).isEmpty();
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    for (String variant : GoldenVar.variants(golden)) {
      try (GoldenVar var = GoldenVar.open(golden, variant)) {
        for (String file : golden.files(FILE)) {
          Matcher name = FILE.matcher(file);
          if (name.matches() && name.group(1).equals(variant)) {
            verify(golden, var, name, checks);
          }
        }
      }
    }
  }

  private static void verify(Golden golden, GoldenVar var, Matcher name, Consumer<Check> checks) {
    String budget = name.group(2);
    String label =
        "%s cfg %s %s%s"
            .formatted(
                name.group(1),
                name.group(3),
                name.group(4),
                budget == null ? "" : " pruned to " + budget);
    CachePolicy policy = CachePolicy.FULL;
    if (budget != null) {
      PruningSchedule pruning =
          PruningSchedule.of(var.shape(), var.orders(), Double.parseDouble(budget));
      String schedule = "heat_%s_b%s.schedule.json".formatted(name.group(1), budget);
      if (golden.has(schedule)) {
        JsonObject recorded = JsonObject.read(golden.folder().resolve(schedule));
        RecordedMethod.schedule(label, pruning, recorded, checks);
      }
      policy = new HeatKvPolicy(pruning, KvStorage.NATIVE);
    }
    // Uniforms are recorded once, with the run that remembers all.
    String full = name.group().replaceFirst("^heat_([a-z0-9]+)_b[0-9.]+_", "full_$1_");
    try (Checkpoint recorded = golden.open(name.group());
        Checkpoint uniforms = golden.open(full);
        Scope _ = Scope.open()) {
      new Run(golden, var, recorded, uniforms, Double.parseDouble(name.group(3)), label)
          .verify(name.group(4).equals("argmax"), policy, checks);
    }
  }

  /** One file; compares what the loop shows, scale by scale. */
  private static final class Run implements ScaleObserver, TokenChooser {
    private final Golden golden;
    private final GoldenVar var;
    private final Checkpoint recorded;
    private final Checkpoint uniforms;
    private final double cfg;
    private final String label;
    private final Comparison inputs;
    private final Comparison attention;
    private final Comparison logits;
    private final Comparison guided;
    private final Comparison probabilities;
    private final Comparison tokens;
    private final Comparison codes;

    Run(
        Golden golden,
        GoldenVar var,
        Checkpoint recorded,
        Checkpoint uniforms,
        double cfg,
        String label) {
      this.golden = golden;
      this.var = var;
      this.recorded = recorded;
      this.uniforms = uniforms;
      this.cfg = cfg;
      this.label = label;
      inputs = new Comparison(label + " scale inputs", 1e-5);
      attention = new Comparison(label + " self-attention", 5e-5);
      logits = new Comparison(label + " logits", 1e-4);
      // Guidance multiplies errors by 1 + 2 cfg at most.
      guided = new Comparison(label + " guided logits", cfg <= 1.5 ? 1e-4 : 2e-4);
      probabilities = new Comparison(label + " probabilities", 1e-5);
      tokens = new Comparison(label + " tokens", 0);
      codes = new Comparison(label + " summed codes", 1e-5);
    }

    void verify(boolean argmax, CachePolicy policy, Consumer<Check> checks) {
      GenerationRequest request =
          new GenerationRequest(var.pictures(cfg, argmax), var.grids(), policy);
      try (Conditioning classes = var.model().encode(request.pictures(), true);
          Generation generation = Generation.open(var.model(), classes, request, this, this)) {
        while (!generation.isDone()) {
          generation.step();
        }
        for (Comparison each :
            List.of(inputs, attention, logits, guided, probabilities, tokens, codes)) {
          each.report(checks);
        }
        pictures(generation.canvas(), checks);
      }
    }

    /** Compares what was recorded; some recordings hold the first rows only. */
    private void add(Comparison comparison, Tensor actual, String tensor) {
      if (recorded.find(tensor).isPresent()) {
        long[] shape = recorded.entry(tensor).shape();
        boolean part = shape.length > 0 && shape[0] > 0 && shape[0] < actual.size(0);
        comparison.add(part ? actual.narrow(0, 0, shape[0]) : actual, recorded, tensor);
      }
    }

    @Override
    public void codeInput(int scale, Tensor input) {
      add(inputs, input, "code_in." + scale);
    }

    @Override
    public void blockInput(int scale, Tensor x) {
      add(inputs, var.halves(x), "x_in." + scale);
    }

    @Override
    public void selfAttention(int layer, int scale, Tensor output) {
      add(attention, var.halves(output), "attn_out.layer" + layer + "." + scale);
    }

    @Override
    public void logits(int scale, Tensor raw, Tensor mixed) {
      add(logits, var.halves(raw), "logits_raw." + scale);
      add(guided, mixed, "logits_cfg." + scale);
    }

    @Override
    public Tensor choose(int scale, Tensor mixed) {
      SamplingOptions how = var.pictures(cfg, false).getFirst().sampling();
      Tensor own;
      if (uniforms.find("uniforms." + scale).isEmpty()) {
        own = CategoricalSampler.argmax(mixed);
      } else {
        Tensor left = CategoricalSampler.filtered(mixed, how.topK(), how.topP());
        add(probabilities, Ops.softmax(left), "probs." + scale);
        Tensor recordedUniforms = golden.tensor(uniforms, "uniforms." + scale, 2).unsqueeze(2);
        own = CategoricalSampler.sample(mixed, recordedUniforms, how.topK(), how.topP());
      }
      tokens.addEqual(own, recorded, "idx." + scale);
      return own;
    }

    @Override
    public void scaleDone(int scale, Tensor chosen, Tensor canvas) {
      add(codes, canvas, "f_hat." + scale);
    }

    private void pictures(Tensor canvas, Consumer<Check> checks) {
      if (recorded.find("image_raw").isPresent()) {
        Comparison pixels = new Comparison(label + " pixels", 1e-4);
        add(pixels, var.model().vae().decodeUnlimited(canvas), "image_raw");
        pixels.report(checks);
      }
      if (recorded.find("image_u8").isPresent()) {
        Comparison levels = new Comparison(label + " bytes", 1);
        levels.add(
            levels(var.model().decode(canvas)),
            Comparison.values(golden.backend(), recorded, "image_u8"),
            recorded.path() + ": tensor image_u8");
        levels.report(checks);
      }
    }
  }

  /** 8-bit RGB of some pictures, interleaved. */
  static double[] levels(Tensor images) {
    double[] all = new double[Math.toIntExact(images.count())];
    int at = 0;
    for (int i = 0; i < images.size(0); i++) {
      for (byte level : Pixels.toRgb(images.select(0, i))) {
        all[at++] = level & 0xFF;
      }
    }
    return all;
  }
}
