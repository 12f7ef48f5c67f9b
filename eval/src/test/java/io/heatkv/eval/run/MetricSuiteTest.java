package io.heatkv.eval.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.GenerationResult;
import io.heatkv.Picture;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.eval.Drawing;
import io.heatkv.eval.learned.LearnedMetric;
import io.heatkv.eval.learned.OnnxBytes;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.PngImage;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.text.PromptTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which pictures and prompts reach the networks of a batch. */
class MetricSuiteTest {
  private static final int EDGE = 16;

  @TempDir Path folder;

  /** All pixels of one level. */
  private static PngImage grey(int level) {
    byte[] rgb = new byte[3 * EDGE * EDGE];
    Arrays.fill(rgb, (byte) level);
    return new PngImage(EDGE, EDGE, rgb);
  }

  private static Drawing drawn(int... levels) {
    List<String> prompts = List.of("red", "a");
    List<Picture> pictures =
        IntStream.range(0, levels.length)
            .mapToObj(i ->
                new Picture(
                    i,
                    new PictureRequest(prompts.get(i), i, SamplingOptions.of(1, 1, 1)),
                    grey(levels[i])))
            .toList();
    return new Drawing(
        new GenerationResult(
            pictures,
            new GenerationResult.Timings(0, List.of(1.0), 0),
            1,
            new KvMemory(1, KvParts.NONE, 1, 1),
            1,
            List.of()),
        List.of(List.of(new int[] {0, 1}, new int[] {0, 1})),
        List.of());
  }

  private Path file(String name, OnnxBytes graph) throws IOException {
    return Files.write(folder.resolve(name), graph.bytes());
  }

  /** Mean of the picture less that of the reference, so that neither can take the other's place. */
  private static OnnxBytes pair() {
    return new OnnxBytes()
        .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
        .input("reference", OnnxBytes.FLOAT, -1, 3, -1, -1)
        .node("Sub", List.of("image", "reference"), "d")
        .mean("d", "score", 1L, 2L, 3L)
        .output("score", OnnxBytes.FLOAT, -1);
  }

  /** Mean of the picture plus mean of the tokens. */
  private static OnnxBytes text() {
    return new OnnxBytes()
        .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
        .input("input_ids", OnnxBytes.INT64, -1, -1)
        .mean("image", "light", 1L, 2L, 3L)
        .node("Cast", List.of("input_ids"), "ids", Map.of("to", 1L))
        .mean("ids", "words", 1L)
        .node("Add", List.of("light", "words"), "score")
        .output("score", OnnxBytes.FLOAT, -1);
  }

  @Test
  void picturesMeetTheirReferencesAndPrompts() throws IOException {
    Files.write(folder.resolve("tokenizer.json"), PromptTokenizer.letters());
    Map<LearnedMetric, Path> files =
        Map.of(
            LearnedMetric.LPIPS,
            file("lpips.onnx", pair()),
            LearnedMetric.CLIP_SCORE,
            file("clip.onnx", text()));
    double[] words = new double[2];
    try (PromptTokenizer tokenizer = PromptTokenizer.open(folder.resolve("tokenizer.json"), 77)) {
      words[0] = Arrays.stream(tokenizer.encode("red").ids()).average().orElseThrow();
      words[1] = Arrays.stream(tokenizer.encode("a").ids()).average().orElseThrow();
    }
    assertThat(words[0]).isNotEqualTo(words[1]);
    try (MetricSuite suite = new MetricSuite(files, EDGE, EDGE, false, false)) {
      Drawing full = drawn(0, 51);
      Map<String, List<Double>> values = suite.values(full, drawn(255, 102));
      // Levels of 0 to 255 are -1 to 1.
      close(values.get("lpips"), 2, 0.4);
      close(values.get("clip-score"), 1 + words[0], -0.2 + words[1]);
      assertThat(values).containsKeys("psnr", "ssim", "equal_bits").doesNotContainKeys("kl", "fid");
      // The full cache's own pictures: only what needs no other ones.
      assertThat(suite.valuesOfFull(full)).containsOnlyKeys("clip-score");
      close(suite.valuesOfFull(full).get("clip-score"), -1 + words[0], -0.6 + words[1]);
    }
  }

  private static void close(List<Double> values, double first, double second) {
    assertThat(values).hasSize(2);
    assertThat(values.get(0)).isCloseTo(first, within(1e-5));
    assertThat(values.get(1)).isCloseTo(second, within(1e-5));
  }
}
