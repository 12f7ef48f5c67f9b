package io.heatkv.verify;

import io.heatkv.SamplingOptions;
import io.heatkv.ScaleLoop;
import io.heatkv.ScaleObserver;
import io.heatkv.cache.FullCache;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.model.AttentionObserver;
import io.heatkv.model.Condition;
import io.heatkv.model.InfinityTransformer;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.vae.MultiScaleBsq;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Compares a run of the transformer with the recorded values of every scale. */
final class GoldenTransformer {
  private static final String LAYER = "attn_out.layer";

  private final InfinityTransformer transformer;
  private final Tensor text;
  private final double cfg;

  /**
   * @param text features of the recorded prompt [tokens, channels]
   * @param cfg guidance strength of the recording
   */
  GoldenTransformer(InfinityTransformer transformer, Tensor text, double cfg) {
    this.transformer = transformer;
    this.text = text;
    this.cfg = cfg;
  }

  /** Makes the cache that a run is to use. */
  interface CacheFactory {
    KvCache create(KvShape shape);
  }

  /** The run with everything kept. */
  CacheFactory full() {
    return shape -> new FullCache(transformer.backend(), transformer.device(), shape);
  }

  /**
   * @param name of the recording, for the checks
   * @param nearTies by scale: positions whose bit may differ
   */
  List<Check> run(
      String name,
      ScaleSchedule schedule,
      Checkpoint recorded,
      Map<Integer, Set<Integer>> nearTies,
      CacheFactory caches) {
    Recorder recorder = new Recorder(name, recorded, nearTies);
    try (Scope _ = Scope.open();
        Condition condition =
            transformer.condition(List.of(text, transformer.unconditional(text.size(0))));
        KvCache cache =
            caches.create(
                new KvShape(
                    transformer.config().depth(),
                    2,
                    transformer.config().heads(),
                    transformer.config().headDim(),
                    transformer.dtype(),
                    schedule))) {
      recorder.condition.add(condition.pooled(), "cond.text_proj_for_sos");
      recorder.condition.add(condition.shared(), "cond.shared_ada_lin");
      int channels = transformer.config().bits();
      Tensor codes =
          new ScaleLoop(transformer, new MultiScaleBsq(channels, false))
              .run(
                  condition,
                  schedule,
                  SamplingOptions.of(cfg, 1, 1).withArgmax(),
                  new long[1],
                  cache,
                  recorder);
      recorder.codes.add(codes, "codes_final");
    }
    return recorder.checks();
  }

  /** Compares what the loop shows, scale by scale. */
  private static final class Recorder implements ScaleObserver {
    private final Checkpoint recorded;
    private final Map<Integer, Set<Integer>> nearTies;
    private final Part condition;
    private final Part inputs;
    private final Part attention;
    private final Part logits;
    private final Part bits;
    private final Part codes;

    Recorder(String name, Checkpoint recorded, Map<Integer, Set<Integer>> nearTies) {
      this.recorded = recorded;
      this.nearTies = nearTies;
      condition = new Part(name + " condition", 1e-5);
      inputs = new Part(name + " scale inputs", 1e-5);
      attention = new Part(name + " self-attention", 5e-5);
      logits = new Part(name + " logits", 1e-4);
      bits = new Part(name + " bits", 0);
      codes = new Part(name + " summed codes", 1e-5);
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
        long rows = recorded.entry(tensor).shape()[0];
        try (Scope _ = Scope.open()) {
          // Some recordings hold the conditional row only.
          comparison.add(
              rows < actual.size(0) ? actual.narrow(0, 0, rows) : actual, recorded, tensor);
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
    public void scaleDone(int scale, Tensor chosen, Tensor sum) {
      bits.comparison.addExact(
          chosen.toBytes(), recorded, "bits." + scale, nearTies.getOrDefault(scale, Set.of()));
    }

    @Override
    public AttentionObserver attention() {
      return (layer, scale, output) -> attention.add(output, LAYER + layer + "." + scale);
    }

    List<Check> checks() {
      List<Check> checks = new ArrayList<>();
      for (Part part : List.of(condition, inputs, attention, logits, bits, codes)) {
        Check check = part.comparison.result();
        if (check.compared() > 0) {
          checks.add(check);
        }
      }
      return checks;
    }
  }
}
