package io.heatkv.infinity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Runs of the official classes in all variants: templates, resolutions, rotary modes, attention
 * without cosine, level embedding, patchify, guidance on layers, batches, sampling.
 */
class RecordedRunsTest {
  private static final double LOGITS = 1e-4;
  private static final int RECORDED_TOKENS = 24;

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  static List<RecordedRun> runs() {
    return RecordedRun.all();
  }

  @ParameterizedTest
  @MethodSource("runs")
  void agreesWithTheOfficialCode(RecordedRun run) {
    long live = backend.liveTensors();
    ScaleGrids grids = run.grids();
    try (Checkpoint recorded = open("recorded.safetensors");
        Checkpoint weights = Checkpoints.open(weights(run));
        Checkpoint texts = open("texts.safetensors");
        InfinityModel model = model(run, weights, texts)) {
      Optional<String> negative = run.negative().map(String::valueOf);
      GenerationRequest request =
          new GenerationRequest(
              run.texts().stream()
                  .map(
                      text -> new PictureRequest(String.valueOf(text), negative, 0, run.sampling()))
                  .toList(),
              grids,
              CachePolicy.FULL);
      TokenChooser chooser = (scale, logits) -> compared(run, scale, logits, recorded);
      try (Conditioning text = model.encode(request.pictures(), run.sampling().isGuided());
          Generation generation =
              Generation.open(model, text, request, chooser, ScaleObserver.NONE)) {
        while (!generation.isDone()) {
          generation.step();
        }
        if (recorded.find(run.name() + ".codes").isPresent()) {
          assertThat(generation.canvas().toFloats())
              .containsExactly(floats(recorded, run.name() + ".codes"), within(1e-5f));
        }
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static Checkpoint open(String file) {
    return Checkpoints.open(TestDevice.resource("/golden-extra/" + file));
  }

  /** The shared weights, with those that the variant replaces or lacks. */
  private Path weights(RecordedRun run) {
    try (Checkpoint base = open("infinity.safetensors");
        Checkpoint patched = open("patchify.safetensors")) {
      List<SafetensorsWriter.Item> items = new ArrayList<>();
      for (String name : base.names()) {
        if (run.config().cosineAttention() || !name.endsWith("scale_mul_1H11")) {
          TensorEntry own = base.entry(name);
          TensorEntry entry = run.patchify() ? patched.find(name).orElse(own) : own;
          items.add(SafetensorsWriter.Item.of(entry));
        }
      }
      Path file = folder.resolve("weights.safetensors");
      SafetensorsWriter.write(file, items, Map.of());
      return file;
    }
  }

  /** Its prompts are the numbers of the recorded texts. */
  private InfinityModel model(RecordedRun run, Checkpoint weights, Checkpoint texts) {
    return new InfinityModel(
        run.name(),
        new InfinityTransformer(run.config(), weights, backend, TestDevice.device(), DType.F32),
        new MultiScaleBsq(RecordedRun.CODE_CHANNELS, run.patchify()),
        (text, _) -> Weights.wrap(backend, texts.entry("text_features." + text), texts),
        Optional.empty());
  }

  /** Compares logits and bits; the next scale continues from the recorded bits. */
  private Tensor compared(RecordedRun run, int scale, Tensor logits, Checkpoint recorded) {
    String what = run + " scale " + scale;
    int batch = Math.toIntExact(logits.size(0));
    int tokens = Math.toIntExact(logits.size(1));
    int width = 2 * Math.toIntExact(logits.size(2));
    float[] expected = floats(recorded, run.name() + ".logits." + scale);
    float[] actual = logits.toFloats();
    int step = Math.ceilDiv(tokens, RECORDED_TOKENS);
    int at = 0;
    for (int row = 0; row < batch; row++) {
      for (int token = 0; token < tokens; token += step) {
        for (int i = 0; i < width; i++) {
          assertThat((double) actual[(row * tokens + token) * width + i])
              .as(what + " logit " + i + " of token " + token)
              .isCloseTo(expected[at++], within(LOGITS));
        }
      }
    }
    assertThat(at).as(what).isEqualTo(expected.length);
    Tensor own = own(run, scale, logits, recorded);
    byte[] bits = own.toBytes();
    byte[] packed =
        recorded.entry(run.name() + ".bits." + scale).bytes().toArray(ValueLayout.JAVA_BYTE);
    assertThat(packed.length).as(what).isEqualTo(Math.ceilDiv(bits.length, 8));
    long[] official = new long[bits.length];
    for (int i = 0; i < bits.length; i++) {
      official[i] = packed[i / 8] >> (7 - i % 8) & 1;
      if (!run.near(scale).contains(i)) {
        assertThat((long) bits[i]).as(what + " bit " + i).isEqualTo(official[i]);
      }
    }
    return Tensor.of(backend, official, batch, tokens, run.bits()).to(logits.device());
  }

  private Tensor own(RecordedRun run, int scale, Tensor logits, Checkpoint recorded) {
    if (!run.sampled()) {
      return BitSampler.argmax(logits);
    }
    TensorEntry uniforms = recorded.entry(run.name() + ".uniform." + scale);
    return BitSampler.sample(
        logits,
        Weights.wrap(backend, uniforms, recorded).to(logits.device()),
        run.sampling().topP());
  }

  private static float[] floats(Checkpoint recorded, String name) {
    return recorded.entry(name).bytes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
