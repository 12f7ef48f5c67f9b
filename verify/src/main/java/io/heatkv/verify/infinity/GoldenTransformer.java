package io.heatkv.verify.infinity;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.BitSampler;
import io.heatkv.infinity.Condition;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Compares a run of the transformer with the recorded values of every scale.
 *
 * <p>Bits are the more likely ones; near ties are taken as recorded, so that they don't spread.
 */
final class GoldenTransformer {
  private static final String LAYER = "attn_out.layer";

  private final InfinityModel model;
  private final Tensor text;
  private final Checkpoint recorded;

  /**
   * @param text features of the recorded prompt [tokens, channels]
   */
  GoldenTransformer(InfinityModel model, Tensor text, Checkpoint recorded) {
    this.model = model;
    this.text = text;
    this.recorded = recorded;
  }

  private Tensor none(Tensor prompt) {
    return model.transformer().unconditional(prompt.size(0));
  }

  /** Number of recorded scales. */
  static int scales(Checkpoint recorded) {
    int count = 0;
    while (recorded.find("bits." + count).isPresent()) {
      count++;
    }
    return count;
  }

  /**
   * @param name of the recording, for the checks
   * @param nearTies by scale: positions whose bit may differ
   * @param policy what is remembered of earlier scales
   */
  void run(
      String name,
      ScaleGrids grids,
      Map<Integer, Set<Integer>> nearTies,
      CachePolicy policy,
      Consumer<Check> checks) {
    Recorder recorder = new Recorder(name, nearTies);
    InfinityTransformer transformer = model.transformer();
    SamplingOptions sampling =
        new SamplingOptions(
            guidance(recorded, model.backend(), grids.count()),
            List.of(1.0),
            0,
            1,
            true,
            true,
            Set.of(),
            1);
    GenerationRequest request =
        new GenerationRequest(List.of(new PictureRequest("0", 0, sampling)), grids, policy);
    try (Scope _ = Scope.open();
        Condition condition = transformer.condition(List.of(text, none(text)))) {
      Tensor normed = transformer.normedText(Ops.cat(0, text, none(text)));
      recorder.condition.add(normed, "cond.text_norm");
      recorder.condition.add(transformer.projectedText(normed), "cond.text_proj_for_ca");
      recorder.condition.add(condition.pooled(), "cond.text_proj_for_sos");
      recorder.condition.add(condition.shared(), "cond.shared_ada_lin");
    }
    try (Conditioning conditioning = model.encode(request.pictures(), true);
        Generation generation = Generation.open(model, conditioning, request, recorder, recorder)) {
      while (!generation.isDone()) {
        generation.step();
      }
      recorder.codes.add(generation.canvas(), "codes_final");
    }
    recorder.report(checks);
  }

  /**
   * Guidance strength of every scale: no file states it, but the recorded logits before and after
   * guidance do, as the least-squares solution of {@code guided - u = cfg (c - u)}.
   */
  static List<Double> guidance(Checkpoint recorded, Backend backend, int scales) {
    List<Double> strengths = new ArrayList<>();
    for (int scale = 0; scale < scales; scale++) {
      double[] raw = Comparison.values(backend, recorded, "logits_raw." + scale);
      double[] guided = Comparison.values(backend, recorded, "logits_cfg." + scale);
      double product = 0;
      double square = 0;
      for (int i = 0; i < Math.min(guided.length, raw.length / 2); i++) {
        double unconditional = raw[raw.length / 2 + i];
        double apart = raw[i] - unconditional;
        product += apart * (guided[i] - unconditional);
        square += apart * apart;
      }
      strengths.add(square == 0 ? 1 : product / square);
    }
    return strengths;
  }

  /** Compares what the loop shows, scale by scale. */
  private final class Recorder implements ScaleObserver, TokenChooser {
    private final Map<Integer, Set<Integer>> nearTies;
    private final Part condition;
    private final Part inputs;
    private final Part attention;
    private final Part logits;
    private final Part codes;
    private final Comparison bits;

    Recorder(String name, Map<Integer, Set<Integer>> nearTies) {
      this.nearTies = nearTies;
      condition = new Part(name + " condition", 1e-5);
      inputs = new Part(name + " scale inputs", 1e-5);
      attention = new Part(name + " self-attention", 5e-5);
      logits = new Part(name + " logits", 1e-4);
      codes = new Part(name + " summed codes", 1e-5);
      bits = new Comparison(name + " bits", 0);
    }

    /** One kind of value; tensors that weren't recorded are passed over. */
    private final class Part {
      private final Comparison comparison;

      Part(String name, double tolerance) {
        comparison = new Comparison(name, tolerance);
      }

      void add(Tensor actual, String tensor) {
        if (recorded.find(tensor).isEmpty()) {
          return;
        }
        long[] shape = recorded.entry(tensor).shape();
        try (Scope _ = Scope.open()) {
          // Some recordings hold the conditional row only.
          boolean part = shape.length > 0 && shape[0] > 0 && shape[0] < actual.size(0);
          comparison.add(part ? actual.narrow(0, 0, shape[0]) : actual, recorded, tensor);
        }
      }
    }

    @Override
    public void codeInput(int scale, Tensor input) {
      inputs.add(input, "code_in." + scale);
    }

    @Override
    public void blockInput(int scale, Tensor x) {
      inputs.add(x, "x_in." + scale);
    }

    @Override
    public void logits(int scale, Tensor raw, Tensor guided) {
      logits.add(raw, "logits_raw." + scale);
      logits.add(guided, "logits_cfg." + scale);
    }

    @Override
    public Tensor choose(int scale, Tensor guided) {
      Tensor own = BitSampler.argmax(guided);
      String name = "bits." + scale;
      if (recorded.find(name).isEmpty()) {
        return own;
      }
      return bits.addBits(own, recorded, name, nearTies.getOrDefault(scale, Set.of()));
    }

    @Override
    public void selfAttention(int layer, int scale, Tensor output) {
      attention.add(output, LAYER + layer + "." + scale);
    }

    void report(Consumer<Check> checks) {
      for (Part part : List.of(condition, inputs, attention, logits)) {
        part.comparison.report(checks);
      }
      bits.report(checks);
      codes.comparison.report(checks);
    }
  }
}
