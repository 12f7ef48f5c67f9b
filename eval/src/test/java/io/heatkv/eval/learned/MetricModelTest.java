package io.heatkv.eval.learned;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import io.heatkv.image.PngImage;
import io.heatkv.text.PromptTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Small graphs in the place of the metrics' networks, and files that don't fit. */
class MetricModelTest {
  private static final int WIDTH = 64;
  private static final int HEIGHT = 32;

  @TempDir Path folder;

  private Path file(String name, OnnxBytes graph) throws IOException {
    return Files.write(folder.resolve(name), graph.bytes());
  }

  private static PngImage random(long seed) {
    byte[] rgb = new byte[3 * WIDTH * HEIGHT];
    new Random(seed).nextBytes(rgb);
    return new PngImage(WIDTH, HEIGHT, rgb);
  }

  private static MetricModel open(LearnedMetric metric, Path file) {
    return MetricModel.open(metric, file, WIDTH, HEIGHT);
  }

  private static OnnxBytes squares(long... shape) {
    return new OnnxBytes()
        .input("image", OnnxBytes.FLOAT, shape)
        .input("reference", OnnxBytes.FLOAT, shape)
        .node("Sub", List.of("image", "reference"), "d")
        .node("Mul", List.of("d", "d"), "dd")
        .node(
            "ReduceMean",
            List.of("dd"),
            "score",
            Map.of("axes", List.of(1L, 2L, 3L), "keepdims", 1L))
        .output("score", OnnxBytes.FLOAT, shape[0], 1, 1, 1);
  }

  @Test
  void aPairIsScored() throws IOException {
    PngImage a = random(1);
    PngImage b = random(2);
    double expected = 0;
    for (int i = 0; i < a.rgb().length; i++) {
      double difference = ((a.rgb()[i] & 0xFF) - (b.rgb()[i] & 0xFF)) / 127.5;
      expected += difference * difference / a.rgb().length;
    }
    for (long[] shape : new long[][] {{-1, 3, -1, -1}, {1, 3, HEIGHT, WIDTH}}) {
      try (PairModel lpips =
          (PairModel) open(LearnedMetric.LPIPS, file("lpips.onnx", squares(shape)))) {
        assertThat(lpips.metric()).isEqualTo(LearnedMetric.LPIPS);
        assertThat(lpips.score(a, b)).isCloseTo(expected, within(1e-5));
        assertThat(lpips.score(a, a)).isZero();
        PngImage turned = new PngImage(HEIGHT, WIDTH, a.rgb());
        assertThatThrownBy(() -> lpips.score(turned, a))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("32x64");
      }
    }
  }

  @Test
  void featuresOfAPicture() throws IOException {
    OnnxBytes graph =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .mean("image", "grey", 1L)
            .node("Flatten", List.of("grey"), "features", Map.of("axis", 1L))
            .output("features", OnnxBytes.FLOAT, -1, 2048);
    PngImage picture = random(3);
    try (FeatureModel fid = (FeatureModel) open(LearnedMetric.FID, file("fid.onnx", graph))) {
      float[] features = fid.features(picture);
      assertThat(features).hasSize(2048);
      for (int i : new int[] {0, 63, 64, 2047}) {
        int sum = 0;
        for (int c = 0; c < 3; c++) {
          sum += picture.rgb()[3 * i + c] & 0xFF;
        }
        assertThat(features[i]).isCloseTo(sum / 3f / 127.5f - 1, within(1e-5f));
      }
    }
  }

  /** Mean of the picture, plus mean of ids, plus the share of tokens that the mask shows. */
  private static OnnxBytes text(long length, boolean mask) {
    OnnxBytes graph =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .input("input_ids", OnnxBytes.INT64, -1, length)
            .mean("image", "light", 1L, 2L, 3L)
            .node("Cast", List.of("input_ids"), "ids", Map.of("to", 1L))
            .mean("ids", "words", 1L)
            .node("Add", List.of("light", "words"), mask ? "both" : "score");
    if (mask) {
      graph
          .input("attention_mask", OnnxBytes.INT64, -1, length)
          .node("Cast", List.of("attention_mask"), "ones", Map.of("to", 1L))
          .mean("ones", "share", 1L)
          .node("Add", List.of("both", "share"), "score");
    }
    return graph.output("score", OnnxBytes.FLOAT, -1);
  }

  @Test
  void aPromptIsReadByTheTokenizerBeside() throws IOException {
    Path tokenizer = folder.resolve("tokenizer.json");
    Files.write(tokenizer, PromptTokenizer.letters());
    PngImage picture = random(4);
    double light = 0;
    for (byte level : picture.rgb()) {
      light += ((level & 0xFF) / 127.5 - 1) / picture.rgb().length;
    }
    String prompt = "red";
    int[] ids;
    try (PromptTokenizer own = PromptTokenizer.open(tokenizer, 100)) {
      ids = own.encode(prompt).ids();
    }
    assertThat(ids.length).isBetween(3, 11);
    double sum = Arrays.stream(ids).sum();
    record Case(long length, boolean mask, double expected) {}
    List<Case> cases =
        List.of(
            new Case(-1, false, sum / ids.length),
            new Case(-1, true, sum / ids.length + 1),
            new Case(12, false, sum / 12),
            new Case(12, true, (sum + ids.length) / 12),
            // Cut, but for the end token.
            new Case(2, true, (ids[0] + ids[ids.length - 1]) / 2.0 + 1));
    for (Case each : cases) {
      Path file = file("clip.onnx", text(each.length, each.mask));
      try (TextModel clip = (TextModel) open(LearnedMetric.CLIP_SCORE, file)) {
        assertThat(clip.score(picture, prompt))
            .as(each.toString())
            .isCloseTo(light + each.expected, within(1e-3));
      }
    }
  }

  @Test
  void tokenizersAreFoundByName() throws IOException {
    Path file = file("hps.onnx", text(-1, false));
    assertRefused(
        LearnedMetric.HPS_V2,
        file,
        "no tokenizer beside it; expected hps.tokenizer.json or tokenizer.json");
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    assertRefused(LearnedMetric.HPS_V2, file, "tokenizer.json: is not a tokenizer");
    Files.write(folder.resolve("hps.tokenizer.json"), PromptTokenizer.letters());
    try (TextModel own = (TextModel) open(LearnedMetric.HPS_V2, file)) {
      assertThat(own.score(random(5), "a cat")).isPositive();
    }
  }

  private void assertRefused(LearnedMetric metric, Path file, String... parts) {
    assertThatThrownBy(() -> open(metric, file))
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll(parts)
        .hasMessageContaining(file.getParent().toString())
        .hasMessageNotContaining("\n");
  }

  @Test
  void otherShapesAreRefused() throws IOException {
    assertRefused(
        LearnedMetric.LPIPS,
        file("fixed.onnx", squares(1, 3, 224, 224)),
        "fixed.onnx: input image is float32 [1, 3, 224, 224]; expected float32 [1, 3, 32, 64]",
        "docs/metrics.md");
    assertRefused(
        LearnedMetric.LPIPS,
        file("alpha.onnx", squares(-1, 4, -1, -1)),
        "input image is float32 [?, 4, ?, ?]");
    assertRefused(
        LearnedMetric.FID,
        file("lpips.onnx", squares(-1, 3, -1, -1)),
        "has an input reference that no metric fills");
    assertRefused(
        LearnedMetric.IMAGE_REWARD,
        file("pair.onnx", squares(-1, 3, -1, -1)),
        "has no input input_ids, only image, reference; expected int64 [1, ?]");
    OnnxBytes named =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .mean("image", "pooled", 2L, 3L)
            .output("pooled", OnnxBytes.FLOAT, -1, 3);
    assertRefused(
        LearnedMetric.FID,
        file("named.onnx", named),
        "has no output features, only pooled; expected float32 [1, 2048]");
    OnnxBytes narrow =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .mean("image", "features", 2L, 3L)
            .output("features", OnnxBytes.FLOAT, -1, 3);
    assertRefused(
        LearnedMetric.FID,
        file("narrow.onnx", narrow),
        "output features is float32 [?, 3]; expected float32 [1, 2048]");
    OnnxBytes ids =
        new OnnxBytes()
            .input("image", OnnxBytes.INT64, -1, 3, -1, -1)
            .node("Identity", List.of("image"), "features")
            .output("features", OnnxBytes.INT64, -1, 3, -1, -1);
    assertRefused(LearnedMetric.FID, file("ids.onnx", ids), "input image is int64 [?, 3, ?, ?]");
  }

  @Test
  void shapesThatShowOnlyWhenRun() throws IOException {
    OnnxBytes free =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .node("Flatten", List.of("image"), "features", Map.of("axis", 1L))
            .output("features", OnnxBytes.FLOAT, -1, -1);
    try (FeatureModel fid = (FeatureModel) open(LearnedMetric.FID, file("free.onnx", free))) {
      assertThatThrownBy(() -> fid.features(random(6)))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("free.onnx: gives 6144 features for one picture; expected 2048");
    }
    OnnxBytes many =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .input("reference", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .node("Sub", List.of("image", "reference"), "d")
            .mean("d", "score", 1L, 3L)
            .output("score", OnnxBytes.FLOAT, -1, -1);
    try (PairModel pair = (PairModel) open(LearnedMetric.LPIPS, file("many.onnx", many))) {
      assertThatThrownBy(() -> pair.score(random(7), random(8)))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("many.onnx: gives 32 scores for one picture; expected 1");
    }
  }

  /** Zero over zero where the pictures are equal, which a report couldn't hold. */
  @Test
  void scoresThatAreNoNumbers() throws IOException {
    OnnxBytes ratio =
        new OnnxBytes()
            .input("image", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .input("reference", OnnxBytes.FLOAT, -1, 3, -1, -1)
            .node("Sub", List.of("image", "reference"), "d")
            .node("Div", List.of("d", "d"), "q")
            .mean("q", "score", 1L, 2L, 3L)
            .output("score", OnnxBytes.FLOAT, -1);
    PngImage picture = random(9);
    try (PairModel pair = (PairModel) open(LearnedMetric.LPIPS, file("ratio.onnx", ratio))) {
      assertThatThrownBy(() -> pair.score(picture, picture))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("ratio.onnx: gives NaN for a picture; expected a finite number");
    }
  }

  @Test
  void aTextOfNoTokensIsRefused() throws IOException {
    Files.write(folder.resolve("tokenizer.json"), PromptTokenizer.letters());
    assertRefused(
        LearnedMetric.CLIP_SCORE,
        file("none.onnx", text(0, false)),
        "none.onnx: input_ids holds 0 tokens; expected 2 or more");
  }

  @Test
  void filesThatAreNoModels() throws IOException {
    assertRefused(
        LearnedMetric.LPIPS,
        folder.resolve("none.onnx"),
        "no such file; expected the ONNX model of LPIPS");
    Path text = Files.writeString(folder.resolve("text.onnx"), "not a model");
    assertRefused(LearnedMetric.LPIPS, text, "is no ONNX model that can be run");
    byte[] whole = squares(-1, 3, -1, -1).bytes();
    Path cut = Files.write(folder.resolve("cut.onnx"), Arrays.copyOf(whole, whole.length / 2));
    assertRefused(LearnedMetric.LPIPS, cut, "is no ONNX model that can be run");
    Path empty = Files.createFile(folder.resolve("empty.onnx"));
    assertRefused(LearnedMetric.FID, empty, "empty.onnx");
  }

  @Test
  void metricsAreFoundByName() {
    for (LearnedMetric metric : LearnedMetric.values()) {
      assertThat(LearnedMetric.of(metric.id())).isEqualTo(metric);
    }
    assertThatThrownBy(() -> LearnedMetric.of("inception"))
        .isInstanceOf(UserException.class)
        .hasMessage(
            "metric 'inception' is unknown; those with a model file are lpips, fid, clip-score,"
                + " hpsv2, image-reward");
  }
}
