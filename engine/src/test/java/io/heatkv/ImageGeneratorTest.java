package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.image.PngImage;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The embedded model over a few small scales: batches, negative prompts, ends of all kinds. */
class ImageGeneratorTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8");
  private static final String SHORT = "a cat";
  private static final String LONG = "a smiling red heart with sunglasses on a cloud, noto style";

  private static Backend backend;
  private static ImageGenerator model;
  private static long before;
  private long live;

  @BeforeAll
  static void load() {
    backend = TestDevice.backend();
    before = backend.liveTensors();
    model = new ImageGenerator(TestDevice.model(), backend, TestDevice.device(), DType.F32);
  }

  @AfterAll
  static void closingFreesTheWeights() {
    model.close();
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static SamplingOptions sampling(boolean argmax) {
    SamplingOptions options = SamplingOptions.of(3, 0.7, 0.97);
    return argmax ? options.withArgmax() : options;
  }

  private static GenerationRequest request(
      List<String> prompts, Optional<String> negative, int images, long seed, SamplingOptions how) {
    return GenerationRequest.of(prompts, negative, images, seed, SCALES, how, CachePolicy.FULL);
  }

  private static GenerationRequest request(SamplingOptions how) {
    return request(List.of(SHORT), Optional.empty(), 1, 1, how);
  }

  private static PngImage draw(GenerationRequest request) {
    return model.generate(request, GenerationListener.NONE).images().getFirst().pixels();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aBatchDrawsWhatItsPicturesDrawAlone(boolean argmax) {
    GenerationRequest batch =
        request(List.of(SHORT, LONG), Optional.of("a blue dog"), 2, 5, sampling(argmax));
    List<Picture> images = model.generate(batch, GenerationListener.NONE).images();
    assertThat(images).hasSize(4);
    for (int i = 0; i < 4; i++) {
      String prompt = i < 2 ? SHORT : LONG;
      long seed = ImageSeeds.of(5, i);
      assertThat(images.get(i).request().prompt()).isEqualTo(prompt);
      assertThat(images.get(i).request().seed()).isEqualTo(seed);
      PngImage alone =
          draw(request(List.of(prompt), Optional.of("a blue dog"), 1, seed, sampling(argmax)));
      assertThat(images.get(i).pixels().rgb()).as("picture " + i).isEqualTo(alone.rgb());
    }
    // With argmax only the prompt matters, else each picture is another.
    assertThat(Arrays.equals(images.get(0).pixels().rgb(), images.get(1).pixels().rgb()))
        .isEqualTo(argmax);
    assertThat(images.get(0).pixels().rgb()).isNotEqualTo(images.get(2).pixels().rgb());
  }

  /** c + (cfg - 1)(c - c) is c: guiding away from the prompt itself changes nothing. */
  @Test
  void thePromptAsItsOwnNegativeIsNoGuidance() {
    PngImage unguided = draw(request(SamplingOptions.of(1, 1, 1)));
    PngImage own =
        draw(request(List.of(SHORT), Optional.of(SHORT), 1, 1, SamplingOptions.of(4, 1, 1)));
    assertThat(own.rgb()).isEqualTo(unguided.rgb());
    PngImage other =
        draw(request(List.of(SHORT), Optional.of(LONG), 1, 1, SamplingOptions.of(4, 1, 1)));
    assertThat(other.rgb()).isNotEqualTo(unguided.rgb());
  }

  @Test
  void theSameSeedDrawsTheSamePictureAndAnotherSeedAnother() {
    PngImage first = draw(request(sampling(false)));
    assertThat(draw(request(sampling(false))).rgb()).isEqualTo(first.rgb());
    assertThat(draw(request(List.of(SHORT), Optional.empty(), 1, 2, sampling(false))).rgb())
        .isNotEqualTo(first.rgb());
  }

  @Test
  void sizesFollowFromTheSchedule() {
    GenerationResult result =
        model.generate(
            request(List.of(SHORT), Optional.empty(), 2, 1, sampling(true)),
            GenerationListener.NONE);
    int cached = 1 + 4 + 16 + 36;
    assertThat(result.tokens()).isEqualTo(cached + 64);
    // Keys and values of 12 layers, 10 heads of 32 channels, 2 pictures with both halves, float32.
    assertThat(result.fullKvBytes()).isEqualTo(2L * 12 * 10 * 32 * 2 * 2 * 4 * cached);
    assertThat(result.images().getFirst().pixels().width()).isEqualTo(8 * 8);
    assertThat(result.timings().scales()).hasSize(5);
    assertThat(result.warnings()).isEmpty();
  }

  /** Own kernels pass over rows that lie otherwise, as two rows of one picture once did. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void everyBlockBeginsWithRowsThatLiePlainly(int pictures) {
    GenerationRequest request =
        request(List.of(SHORT), Optional.empty(), pictures, 1, sampling(true));
    List<Boolean> plain = new ArrayList<>();
    ScaleObserver observer =
        new ScaleObserver() {
          @Override
          public void blockInput(int scale, Tensor x) {
            plain.add(x.isContiguous());
          }
        };
    try (Conditioning text = model.model().encode(request.pictures(), true);
        Generation generation = Generation.open(model.model(), text, request, null, observer)) {
      generation.finish();
    }
    assertThat(plain).containsExactly(true, true, true, true, true);
  }

  @Test
  void theLastPreviewIsThePicture() {
    List<Integer> scales = new ArrayList<>();
    List<PngImage> previews = new ArrayList<>();
    GenerationListener listener =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation generation) {
            assertThat(count).isEqualTo(5);
            scales.add(scale);
            previews.add(generation.preview().getFirst().pixels());
          }
        };
    GenerationResult result = model.generate(request(sampling(false)), listener);
    assertThat(scales).containsExactly(0, 1, 2, 3, 4);
    assertThat(previews.getLast().rgb())
        .isEqualTo(result.images().getFirst().pixels().rgb())
        .isNotEqualTo(previews.getFirst().rgb());
  }

  @Test
  void aPromptThatIsTooLongIsCutWithAWarning() {
    GenerationResult result =
        model.generate(
            request(List.of("cat ".repeat(600)), Optional.empty(), 1, 1, sampling(true)),
            GenerationListener.NONE);
    assertThat(result.warnings()).hasSize(1).first().asString().contains("cut to 512");
  }

  @Test
  void cancellingEndsBetweenScales() {
    List<Integer> scales = new ArrayList<>();
    GenerationListener listener =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation generation) {
            scales.add(scale);
          }

          @Override
          public boolean isCancelled() {
            return scales.size() == 2;
          }
        };
    assertThatThrownBy(() -> model.generate(request(sampling(false)), listener))
        .isInstanceOf(CancellationException.class);
    assertThat(scales).containsExactly(0, 1);
  }

  @Test
  void aFailingListenerEndsTheGeneration() {
    GenerationListener listener =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation generation) {
            generation.preview();
            throw new IllegalStateException("scale " + scale);
          }
        };
    assertThatThrownBy(() -> model.generate(request(sampling(false)), listener))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("scale 0");
  }

  /** A policy that refuses the schedule, and one that fails in the middle of a scale. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aFailingPolicyEndsTheGeneration(boolean atOnce) {
    CachePolicy failing =
        new CachePolicy() {
          @Override
          public String name() {
            return "failing";
          }

          @Override
          public KvPlan plan(KvShape shape) {
            if (atOnce) {
              throw new UserException("no plan for this schedule");
            }
            // Storage of three layers: the fourth finds none.
            return FULL.plan(
                new KvShape(
                    3,
                    shape.batch(),
                    shape.pictureRows(),
                    shape.heads(),
                    shape.headDim(),
                    shape.dtype(),
                    shape.grids()));
          }
        };
    GenerationRequest request =
        GenerationRequest.of(
            List.of(SHORT), Optional.empty(), 1, 1, SCALES, sampling(true), failing);
    assertThatThrownBy(() -> model.generate(request, GenerationListener.NONE))
        .isInstanceOf(atOnce ? UserException.class : IndexOutOfBoundsException.class);
  }

  @Test
  void halfPrecisionBlocksStayNearFloat32() {
    try (ImageGenerator brain =
        new ImageGenerator(model.description(), backend, TestDevice.device(), DType.BF16)) {
      PngImage exact = draw(request(sampling(true)));
      PngImage rounded =
          brain
              .generate(request(sampling(true)), GenerationListener.NONE)
              .images()
              .getFirst()
              .pixels();
      PngImage other = draw(request(List.of(LONG), Optional.empty(), 1, 1, sampling(true)));
      assertThat(3 * distance(exact, rounded)).isLessThan(distance(exact, other));
    }
  }

  /** Mean difference of levels. */
  private static double distance(PngImage a, PngImage b) {
    byte[] first = a.rgb();
    byte[] second = b.rgb();
    double sum = 0;
    for (int i = 0; i < first.length; i++) {
      sum += Math.abs((first[i] & 0xFF) - (second[i] & 0xFF));
    }
    return sum / first.length;
  }

  /** A tenth of the full cache is at most that many bytes, whatever lies in it. */
  @ParameterizedTest
  @ValueSource(strings = {"10%", "0.1"})
  void aBudgetIsSaidInAWordAndKept(String budget) {
    CachePolicy policy = model.policy("sliding-window", budget, SCALES);
    GenerationRequest request = model.request(SHORT, LONG).with(SCALES, policy).withSeed(7);
    assertThat(request.pictures())
        .extracting(PictureRequest::seed)
        .containsExactly(7L, ImageSeeds.of(7, 1));
    GenerationResult drawn = model.generate(request);
    // 1 + 4 + 16 + 36 tokens of 2 pictures with guidance; keys and values in float32.
    KvShape shape = model.kvShape(request);
    long full = 57L * 4 * shape.layers() * shape.heads() * shape.headDim() * 2 * Float.BYTES;
    assertThat(drawn.fullKvBytes()).isEqualTo(full);
    assertThat(drawn.kv().storage()).isPositive().isLessThanOrEqualTo(full / 10);
  }

  @Test
  void aRequestHasTheModelsDefaults() {
    GenerationRequest request = model.request(SHORT);
    assertThat(request.grids()).isEqualTo(model.description().grids());
    assertThat(request.policy()).isSameAs(CachePolicy.FULL);
    // What the model's card says.
    assertThat(request.pictures()).containsExactly(new PictureRequest(SHORT, 0, sampling(false)));
    assertThatThrownBy(() -> model.request(" ")).isInstanceOf(UserException.class);
    assertThatThrownBy(() -> model.policy("110%")).isInstanceOf(UserException.class);
    assertThatThrownBy(() -> model.policy("none", "10%", SCALES)).isInstanceOf(UserException.class);
  }

  /** Opened by its name it is the same model, in the type that was asked for. */
  @Test
  void aModelIsOpenedByItsName() {
    OpenOptions options = OpenOptions.on(TestDevice.device()).with(DType.BF16).withThreads(1);
    try (ImageGenerator opened = ImageGenerator.open("emoji", options)) {
      assertThat(opened.fingerprint()).isEqualTo(model.fingerprint());
      assertThat(opened.kvShape(opened.request(SHORT)).dtype()).isEqualTo(DType.BF16);
    }
    assertThatThrownBy(() -> ImageGenerator.open("none"))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("'none' is unknown");
    OpenOptions nowhere = options.withLibtorch(Path.of("none"));
    assertThatThrownBy(() -> ImageGenerator.open("emoji", nowhere))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("libtorch folder none");
  }
}
