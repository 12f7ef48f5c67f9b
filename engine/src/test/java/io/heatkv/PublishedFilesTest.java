package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.family.Conditioning;
import io.heatkv.family.ScaleObserver;
import io.heatkv.image.PngImage;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.load.Finding;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.load.Conversion;
import io.heatkv.load.HubCache;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.ModelSource;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Pictures of the official code from every form in which a model is published: prompt, tokens, text
 * encoder, logits, bits, pixels.
 */
class PublishedFilesTest {
  private static final String PROMPT = "a red apple, noto style emoji";
  private static final String NEGATIVE = "blurry";
  private static final double LOGITS = 1e-3;
  private static final int TOKENS = 24;
  private static final int PIXELS = 5;

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;
  @TempDir Path older;

  @ParameterizedTest
  @CsvSource({
    "tiny_2b, tiny_2b.pth, flan-t5",
    "tiny_2b, tiny_2b.legacy.pth, flan-t5-bin",
    "tiny_2b, tiny_2b.training.pth, flan-t5",
    "tiny_2b, tiny_2b_weights, flan-t5",
    "tiny_8b, tiny_8b.pth, flan-t5",
    "tiny_8b, tiny_8b_weights, flan-t5-bin"
  })
  void drawsWhatTheOfficialCodeDraws(String model, String transformer, String text)
      throws IOException {
    InfinityDescription found = find(model, transformer, text);
    assertThat(found.transformer().depth()).isEqualTo(2);
    assertThat(found.transformer().heads()).isEqualTo(2);
    assertThat(found.transformer().spatialPatchify()).isEqualTo(model.equals("tiny_8b"));
    assertThat(found.codeChannels()).isEqualTo(model.equals("tiny_8b") ? 14 : 16);
    verify(model, found);
  }

  @Test
  void drawsTheSameAfterAnImport() throws IOException {
    InfinityDescription found = find("tiny_8b", "tiny_8b_weights", "flan-t5-bin");
    Conversion first = found.convert(folder, StorageType.F32, (_, _, _) -> {});
    assertThat(first.overflowed()).isEmpty();
    InfinityDescription imported = (InfinityDescription) ModelSource.find(folder.toString());
    assertThat(imported.transformer()).isEqualTo(found.transformer());
    assertThat(imported.grids()).isEqualTo(found.grids());
    verify("tiny_8b", imported);
    Conversion second = found.convert(folder, StorageType.F32, (_, _, _) -> {});
    assertThat(second.written()).isZero();
    assertThat(second.kept()).isEqualTo(first.written());
  }

  @Test
  void inBfloat16AnImportIsMapped() throws IOException {
    InfinityDescription found = find("tiny_2b", "tiny_2b.pth", "flan-t5");
    found.convert(folder, StorageType.BF16, (_, _, _) -> {});
    InfinityDescription imported = (InfinityDescription) ModelSource.find(folder.toString());
    MemoryEstimate before =
        found.estimate(request(found).kvShape(found, DType.BF16), CachePolicy.FULL);
    MemoryEstimate after =
        imported.estimate(request(imported).kvShape(imported, DType.BF16), CachePolicy.FULL);
    // Converted at loading: the few widened weights of the blocks, and the image tokenizer.
    long vae = decoderElements(imported) * DType.F32.bytes();
    assertThat(after.weights() - vae).isBetween(0L, before.weights() / 20);
    // Before, of float32, the text encoder alone.
    assertThat(after.mapped()).isGreaterThan(before.mapped() / 2);
  }

  private static long decoderElements(InfinityDescription model) {
    try (Checkpoint vae = Checkpoints.open(model.vaeFile())) {
      return vae.names().stream()
          .filter(name -> name.startsWith("decoder.") && vae.entry(name).shape().length > 1)
          .mapToLong(name -> vae.entry(name).elements())
          .sum();
    }
  }

  private InfinityDescription find(String model, String transformer, String text)
      throws IOException {
    Path root = TestDevice.resource("/golden-published");
    if (!text.equals("flan-t5")) {
      // The older copy holds weights only.
      for (String name : List.of("config.json", "spiece.model")) {
        Files.copy(root.resolve("flan-t5").resolve(name), older.resolve(name));
      }
      try (Stream<Path> weights = Files.list(root.resolve(text))) {
        for (Path file : weights.toList()) {
          Files.copy(file, older.resolve(file.getFileName()));
        }
      }
    }
    List<Path> files =
        List.of(
            root.resolve(transformer),
            root.resolve(model + ".vae.pth"),
            text.equals("flan-t5") ? root.resolve(text) : older);
    return Finding.find(files, new HubCache(root.resolve("none"))).description();
  }

  private static GenerationRequest request(InfinityDescription model) {
    return GenerationRequest.of(
        List.of(PROMPT),
        Optional.of(NEGATIVE),
        1,
        0,
        ScaleTemplate.nearest(1).grids(Resolution.P006),
        SamplingOptions.of(model.cfg(), 0.5, model.topP()).withArgmax(),
        CachePolicy.FULL);
  }

  private void verify(String name, InfinityDescription model) {
    long live = backend.liveTensors();
    GenerationRequest request = request(model);
    try (Checkpoint recorded =
            Checkpoints.open(
                TestDevice.resource("/golden-published/" + name + ".recorded.safetensors"));
        ImageGenerator engine = new ImageGenerator(model, backend, TestDevice.device(), DType.F32);
        Conditioning text = engine.model().encode(request.pictures(), true);
        Generation generation =
            Generation.open(engine.model(), text, request, null, compare(recorded))) {
      PngImage picture = generation.finish().images().getFirst().pixels();
      assertThat(picture.width()).isEqualTo(256);
      compareImage(recorded, picture);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static ScaleObserver compare(Checkpoint recorded) {
    return new ScaleObserver() {
      @Override
      public void logits(int scale, Tensor raw, Tensor guided) {
        float[] all = guided.toFloats();
        int tokens = Math.toIntExact(guided.size(1));
        int width = 2 * Math.toIntExact(guided.size(2));
        float[] expected = floats(recorded, "logits." + scale);
        int at = 0;
        for (int token = 0; token < tokens; token += Math.ceilDiv(tokens, TOKENS)) {
          assertThat(Arrays.copyOfRange(all, token * width, (token + 1) * width))
              .as("logits of scale " + scale + " token " + token)
              .containsExactly(
                  Arrays.copyOfRange(expected, at, at + width), within((float) LOGITS));
          at += width;
        }
        assertThat(at).isEqualTo(expected.length);
      }

      @Override
      public void scaleDone(int scale, Tensor bits, Tensor sum) {
        byte[] own = bits.toBytes();
        byte[] packed = new byte[Math.ceilDiv(own.length, 8)];
        for (int i = 0; i < own.length; i++) {
          packed[i / 8] |= (byte) (own[i] << (7 - i % 8));
        }
        assertThat(packed)
            .as("bits of scale " + scale)
            .isEqualTo(recorded.entry("bits." + scale).bytes().toArray(ValueLayout.JAVA_BYTE));
      }
    };
  }

  private static void compareImage(Checkpoint recorded, PngImage picture) {
    float[] expected = floats(recorded, "image");
    byte[] rgb = picture.rgb();
    int edge = Math.ceilDiv(picture.width(), PIXELS);
    assertThat(expected).hasSize(3 * edge * edge);
    for (int channel = 0; channel < 3; channel++) {
      for (int y = 0; y < edge; y++) {
        for (int x = 0; x < edge; x++) {
          int pixel = rgb[3 * (y * PIXELS * picture.width() + x * PIXELS) + channel] & 0xFF;
          int official = (int) ((expected[(channel * edge + y) * edge + x] + 1) / 2 * 255);
          assertThat(Math.abs(pixel - official))
              .as("channel %d of pixel %d, %d", channel, x, y)
              .isLessThanOrEqualTo(1);
        }
      }
    }
  }

  private static float[] floats(Checkpoint recorded, String name) {
    return recorded.entry(name).bytes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
