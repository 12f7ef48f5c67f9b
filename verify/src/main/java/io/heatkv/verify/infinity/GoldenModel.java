package io.heatkv.verify.infinity;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.BitSampler;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A model that brings its own recording of one prompt: tokens, text, logits, bits, codes, picture,
 * and perhaps a greedy draw and the image encoder.
 */
public final class GoldenModel implements GoldenReader {
  private static final String DESCRIPTION = "model.json";
  private static final String GOLDEN = "golden";
  // A large recording is of one draw, and models that share an image tokenizer leave it to one's.
  private static final String GREEDY = "greedy.image";
  private static final String ENCODED = "encoder.input";
  // Twelve layers and guidance divided by tau carry rounding further than the tiny models do.
  private static final double LOGITS = 1e-3;
  private static final double TOKENS = 2521;

  @Override
  public boolean isIn(Golden golden) {
    return golden.has(DESCRIPTION)
        && description(golden).has(GOLDEN)
        && golden.has(description(golden).object(GOLDEN).text("file"));
  }

  private static JsonObject description(Golden golden) {
    return JsonObject.read(golden.folder().resolve(DESCRIPTION));
  }

  @Override
  public boolean isModel() {
    return true;
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    JsonObject recording = description(golden).object(GOLDEN);
    try (InfinityDescription description = InfinityDescription.read(golden.folder());
        Checkpoint recorded = golden.open(recording.text("file"));
        ImageGenerator generator =
            new ImageGenerator(description, golden.backend(), golden.device(), DType.F32);
        Scope _ = Scope.open()) {
      InfinityModel model = (InfinityModel) generator.model();
      Run run = new Run(golden, description, recorded, model, recording.text("prompt"));
      run.text(checks);
      run.sampled(checks);
      if (recorded.names().contains(GREEDY)) {
        run.greedy(checks);
      }
      if (recorded.names().contains(ENCODED)) {
        run.encoder(checks);
      }
    }
  }

  /** The comparisons of one recording. */
  private record Run(
      Golden golden,
      InfinityDescription description,
      Checkpoint recorded,
      InfinityModel model,
      String prompt) {

    void text(Consumer<Check> checks) {
      Comparison tokens = new Comparison("token ids", 0);
      try (PromptTokenizer tokenizer =
          PromptTokenizer.open(
              description.textEncoder().resolve("tokenizer.json"),
              description.transformer().textMaxLength())) {
        tokens.add(
            Arrays.stream(tokenizer.encode(prompt).ids()).asDoubleStream().toArray(),
            Comparison.values(golden.backend(), recorded, "input_ids"),
            recorded.path() + ": tensor input_ids");
      }
      tokens.report(checks);
      Comparison features = new Comparison("text features", 1e-4);
      features.add(model.features(prompt), recorded, "text_features");
      features.report(checks);
    }

    /** Rounding of a sum over all tokens grows with the square root of their number. */
    private double tolerance() {
      return LOGITS * Math.max(1, Math.sqrt(description.grids().totalTokens() / TOKENS));
    }

    private SamplingOptions sampling() {
      return SamplingOptions.of(description.cfg(), description.tau(), 1);
    }

    private GenerationRequest request(SamplingOptions sampling) {
      return new GenerationRequest(
          List.of(new PictureRequest(prompt, 0, sampling)), description.grids(), CachePolicy.FULL);
    }

    /** Bit 1 where the recorded uniform is below its probability, without a nucleus filter. */
    void sampled(Consumer<Check> checks) {
      Comparison logits = new Comparison("logits", tolerance());
      Comparison bits = new Comparison("bits of recorded uniforms", 0);
      TokenChooser chooser =
          (scale, guided) -> {
            logits.add(guided, recorded, "logits." + scale);
            Tensor uniforms = golden.tensor(recorded, "uniform." + scale, 2).unsqueeze(0);
            Tensor own = BitSampler.sample(guided, uniforms, 1);
            return bits.addBits(own, recorded, "bits." + scale, nearUniforms(scale));
          };
      Tensor codes = draw(chooser);
      logits.report(checks);
      bits.report(checks);
      Comparison summed = new Comparison("summed codes", 1e-5);
      summed.add(codes, recorded, "z");
      summed.report(checks);
      Comparison picture = new Comparison("picture", 1e-4);
      picture.add(model.vae().decode(codes), recorded, "image");
      picture.report(checks);
    }

    void greedy(Consumer<Check> checks) {
      Comparison bits = new Comparison("greedy bits", 0);
      Tensor codes =
          draw((scale, guided) ->
              bits.addBits(
                  BitSampler.argmax(guided), recorded, "greedy.bits." + scale, nearTies(guided)));
      bits.report(checks);
      Comparison picture = new Comparison("greedy picture", 1e-4);
      picture.add(model.vae().decode(codes), recorded, GREEDY);
      picture.report(checks);
    }

    void encoder(Consumer<Check> checks) {
      Comparison features = new Comparison("encoder features", 1e-4);
      Tensor input = golden.tensor(recorded, ENCODED, 3).unsqueeze(0);
      features.add(model.vae().encode(input), recorded, "encoder.z");
      features.report(checks);
      Comparison bits = new Comparison("encoder bits", 0);
      Comparison codes = new Comparison("encoder summed codes", 1e-5);
      MultiScaleBsq.Quantized quantized =
          model
              .quantizer()
              .quantize(golden.tensor(recorded, "encoder.z", 3).unsqueeze(0), description.grids());
      for (int scale = 0; scale < quantized.bits().size(); scale++) {
        bits.addExact(quantized.bits().get(scale), recorded, "encoder.bits." + scale);
      }
      bits.report(checks);
      codes.add(quantized.sum(), recorded, "encoder.zq");
      codes.report(checks);
      Comparison picture = new Comparison("reconstructed picture", 1e-4);
      picture.add(model.vae().decode(quantized.sum()), recorded, "encoder.reconstruction");
      picture.report(checks);
    }

    private Tensor draw(TokenChooser chooser) {
      GenerationRequest request = request(sampling());
      try (Conditioning text = model.encode(request.pictures(), true);
          Generation generation =
              Generation.open(model, text, request, chooser, ScaleObserver.NONE)) {
        while (!generation.isDone()) {
          generation.step();
        }
        return generation.canvas().copy();
      }
    }

    /** Positions whose uniform is so near the probability that the logits' tolerance decides. */
    private Set<Integer> nearUniforms(int scale) {
      double[] uniforms = Comparison.values(golden.backend(), recorded, "uniform." + scale);
      double[] logits = Comparison.values(golden.backend(), recorded, "logits." + scale);
      Set<Integer> near = new HashSet<>();
      for (int i = 0; i < Math.min(uniforms.length, logits.length / 2); i++) {
        double one = 1 / (1 + Math.exp(logits[2 * i] - logits[2 * i + 1]));
        // A probability moves by at most a quarter of what the gap of two logits does.
        if (Math.abs(uniforms[i] - one) <= tolerance() / 2) {
          near.add(i);
        }
      }
      return near;
    }

    /** Positions whose two logits differ by less than both may be wrong. */
    private Set<Integer> nearTies(Tensor guided) {
      double[] logits = guided.toDoubles();
      Set<Integer> near = new HashSet<>();
      for (int i = 0; i < logits.length / 2; i++) {
        if (Math.abs(logits[2 * i + 1] - logits[2 * i]) < 2 * tolerance()) {
          near.add(i);
        }
      }
      return near;
    }
  }
}
