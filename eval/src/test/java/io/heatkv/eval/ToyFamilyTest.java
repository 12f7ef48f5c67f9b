package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.Observation;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptSet;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.testkit.TestDevice;
import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import io.heatkv.testkit.toy.ToyModel;
import io.heatkv.weights.Weights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A family with a class, a codebook and odd grids, through everything that knows families. */
class ToyFamilyTest {
  private static final ScaleGrids SCALES = ToyConfig.SCALES;
  private static final SamplingOptions SAMPLING = SamplingOptions.of(3, 0.9, 0.97);
  private static final double BUDGET = 0.6;

  @TempDir static Path folder;

  private static Backend backend;
  private static long before;
  private static Checkpoint checkpoint;
  private static ToyModel model;
  private static CalibrationProfile profile;
  private long live;

  @BeforeAll
  static void load() {
    backend = TestDevice.backend();
    before = backend.liveTensors();
    ToyFiles.write(folder, new ToyConfig(3), 20261126);
    checkpoint = Checkpoints.open(folder.resolve(ToyFiles.WEIGHTS));
    model = new ToyModel(new ToyConfig(3), checkpoint, backend, TestDevice.device(), DType.F32);
    profile = calibrate("circle", "cross");
  }

  @AfterAll
  static void closingFreesTheWeights() {
    model.close();
    checkpoint.close();
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

  private static CalibrationProfile calibrate(String... classes) {
    KvShape shape = model.kvShape(1, 1, SCALES);
    CalibrationProfile sums =
        CalibrationProfile.start(
            new CalibrationSetup(
                "toy",
                Fingerprint.of(checkpoint),
                shape.layers(),
                shape.heads(),
                SCALES,
                1,
                SAMPLING.cfg(),
                SAMPLING.tau(),
                SAMPLING.topP(),
                SAMPLING.topK(),
                shape.headDim()),
            PromptSet.of(List.of(classes), 1));
    for (int i = 0; i < classes.length; i++) {
      Observation observed = new Observation(1, true);
      GenerationRequest request = request(observed, picture(classes[i], 1 + i));
      try (Conditioning condition = model.encode(request.pictures(), true);
          Generation drawn = Generation.open(model, condition, request, null, observed)) {
        drawn.finish();
      }
      sums = sums.plus(observed.measurement());
    }
    return sums;
  }

  private static PictureRequest picture(String name, long seed) {
    return new PictureRequest(name, seed, SAMPLING);
  }

  private static GenerationRequest request(CachePolicy policy, PictureRequest... pictures) {
    return new GenerationRequest(List.of(pictures), SCALES, policy);
  }

  private static GenerationRequest request(PictureRequest... pictures) {
    return request(CachePolicy.FULL, pictures);
  }

  private static Drawing draw(GenerationRequest request) {
    try (Generation generation = Generation.open(model, request)) {
      return Drawing.of(generation, GenerationListener.NONE);
    }
  }

  private static CachePolicy policy(String name, double budget, int pictures) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            new Budget.Ratio(budget),
            model.kvShape(pictures, 2, SCALES),
            Optional.empty(),
            () -> profile));
  }

  static List<String> policies() {
    return CachePolicies.names();
  }

  private static boolean inFewBits(String name) {
    return !name.equals("full") && CachePolicies.whole(name).isPresent();
  }

  private static List<List<Integer>> tokens(Drawing drawn, int picture) {
    return drawn.tokens().stream()
        .map(scale -> Arrays.stream(scale.get(picture)).boxed().toList())
        .toList();
  }

  @ParameterizedTest
  @CsvSource({"circle, 0", "square, 1", "' cross ', 2"})
  void aClassHasANameAndAnIndex(String name, String index) {
    assertThat(draw(request(picture(name, 7))).pictures())
        .usingRecursiveComparison()
        .isEqualTo(draw(request(picture(index, 7))).pictures());
  }

  @ParameterizedTest
  @ValueSource(strings = {"triangle", "Circle", "3", "-1", "01", "a circle"})
  void otherClassesAreRefusedNamingTheKnownOnes(String name) {
    PictureRequest away = new PictureRequest("circle", Optional.of(name), 1, SAMPLING);
    for (GenerationRequest wrong : List.of(request(picture(name, 1)), request(away))) {
      assertThatThrownBy(() -> Generation.open(model, wrong))
          .isInstanceOf(UserException.class)
          .hasMessage(
              "class '%s' is unknown; expected circle, square, cross, or an index from 0 to 2"
                  .formatted(name));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"1x1,2x3,3x4,4x5,5x7,5x7", "1x1,6x7", "1x1,5x8"})
  void gridsThatWereNotLearnedAreRefused(String grids) {
    GenerationRequest large =
        new GenerationRequest(
            List.of(picture("circle", 1)), ScaleGrids.parse(grids), CachePolicy.FULL);
    assertThatThrownBy(() -> Generation.open(model, large))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(grids);
  }

  @Test
  void sizesFollowFromTheGrids() {
    GenerationResult result = draw(request(picture("circle", 1), picture("square", 2))).result();
    int cached = 1 + 6 + 12 + 20;
    assertThat(result.tokens()).isEqualTo(cached + 35);
    // Keys and values of 3 layers, 2 heads of 16 channels, 2 pictures with both rows, float32.
    assertThat(result.fullKvBytes()).isEqualTo(2L * 3 * 2 * 16 * 2 * 2 * 4 * cached);
    assertThat(result.images().getFirst().pixels().width()).isEqualTo(7 * 4);
    assertThat(result.images().getFirst().pixels().height()).isEqualTo(5 * 4);
  }

  @Test
  void aBatchDrawsWhatItsPicturesDrawAlone() {
    SamplingOptions other = SamplingOptions.of(1.5, 1.1, 1);
    PictureRequest[] pictures = {
      picture("circle", 3),
      new PictureRequest("cross", Optional.of("square"), 4, other),
      new PictureRequest("cross", 4, other.withArgmax()),
      picture("circle", 5),
    };
    Drawing together = draw(request(pictures));
    for (int i = 0; i < pictures.length; i++) {
      Drawing alone = draw(request(pictures[i]));
      assertThat(tokens(together, i)).isEqualTo(tokens(alone, 0));
      assertThat(together.pictures().get(i).rgb()).isEqualTo(alone.pictures().getFirst().rgb());
    }
    assertThat(tokens(together, 0)).isNotEqualTo(tokens(together, 3));
    List<Integer> last = tokens(together, 0).getLast();
    assertThat(last).hasSize(35).allMatch(token -> token >= 0 && token < 11);
    assertThat(Set.copyOf(last)).hasSizeGreaterThan(3);
  }

  /** ((1 + t) conditional - t unconditional) / tau, t = 0, 1/2 … 2 for a strength of 3. */
  @Test
  void guidanceGrowsWithTheScale() {
    List<Integer> seen = new ArrayList<>();
    ScaleObserver observer =
        new ScaleObserver() {
          @Override
          public void logits(int scale, Tensor raw, Tensor guided) {
            double t = scale / 2.0;
            float[] rows = raw.toFloats();
            int half = rows.length / 2;
            assertThat(rows).hasSize(2 * SCALES.tokens(scale) * 11);
            float[] expected = new float[half];
            for (int i = 0; i < half; i++) {
              expected[i] = (float) (((1 + t) * rows[i] - t * rows[half + i]) / 0.9);
            }
            assertThat(guided.toFloats()).containsExactly(expected, within(1e-4f));
            seen.add(scale);
          }
        };
    GenerationRequest request = request(picture("square", 1));
    try (Conditioning condition = model.encode(request.pictures(), true);
        Generation drawn = Generation.open(model, condition, request, null, observer)) {
      drawn.finish();
    }
    assertThat(seen).containsExactly(0, 1, 2, 3, 4);
  }

  /** c + t (c - c) is c. */
  @Test
  void theClassAsItsOwnNegativeIsNoGuidance() {
    SamplingOptions how = SamplingOptions.of(4, 1, 1).withArgmax();
    PictureRequest own = new PictureRequest("cross", Optional.of("2"), 1, how);
    PictureRequest none = new PictureRequest("cross", 1, SamplingOptions.of(1, 1, 1).withArgmax());
    PictureRequest guided = new PictureRequest("cross", 1, how);
    assertThat(tokens(draw(request(own)), 0))
        .isEqualTo(tokens(draw(request(none)), 0))
        .isNotEqualTo(tokens(draw(request(guided)), 0));
  }

  /** A feature is what the encoder's weights make of a token's 4 x 4 pixels. */
  @Test
  void encodesToFeaturesOfEveryToken() {
    float[] pixels = new float[3 * 8 * 12];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (i * 37 % 101) / 50f - 1;
    }
    try (Scope _ = Scope.open()) {
      Tensor features =
          model.encode(Tensor.of(backend, pixels, 1, 3, 8, 12).to(TestDevice.device()));
      assertThat(features.shape()).containsExactly(1, 3, 2, 3);
      float[] weight = values("encoder.weight");
      float[] bias = values("encoder.bias");
      float[] all = features.toFloats();
      for (int i = 0; i < all.length; i++) {
        int channel = i / 6;
        double expected = bias[channel];
        for (int j = 0; j < 48; j++) {
          int y = i % 6 / 3 * 4 + j % 16 / 4;
          int x = i % 3 * 4 + j % 4;
          expected += weight[channel * 48 + j] * pixels[(j / 16 * 8 + y) * 12 + x];
        }
        assertThat((double) all[i]).as("feature " + i).isCloseTo(expected, within(1e-4));
      }
    }
  }

  private static float[] values(String name) {
    try (Scope _ = Scope.open()) {
      return Weights.wrap(backend, checkpoint.entry(name), checkpoint).toFloats();
    }
  }

  @ParameterizedTest
  @MethodSource("policies")
  void everyPolicyDrawsWithinItsBudget(String name) {
    PictureRequest[] pictures = {picture("circle", 3), picture("cross", 4)};
    Drawing full = draw(request(pictures));
    Drawing all = draw(request(policy(name, 1, 2), pictures));
    if (inFewBits(name)) {
      assertThat(all.result().kv().storage())
          .isPositive()
          .isLessThan(full.result().fullKvBytes() / 2);
      return;
    }
    assertThat(full.agreement(all, 0).overall()).isOne();
    assertThat(full.agreement(all, 1).overall()).isOne();
    if (!name.equals("full")) {
      Drawing pruned = draw(request(policy(name, BUDGET, 2), pictures));
      assertThat(pruned.result().kv().storage())
          .isPositive()
          .isLessThanOrEqualTo((long) (BUDGET * full.result().fullKvBytes()));
    }
  }

  @ParameterizedTest
  @MethodSource("policies")
  void cancelledPicturesLeaveTheOthersAsTheyAre(String name) {
    CachePolicy policy = policy(name, CachePolicies.whole(name).isPresent() ? 1 : BUDGET, 3);
    PictureRequest[] pictures = {picture("circle", 3), picture("cross", 4), picture("square", 5)};
    Drawing undisturbed = draw(request(policy, pictures));
    for (int scale = 0; scale < SCALES.count() - 1; scale++) {
      for (int cancelled = 0; cancelled < pictures.length; cancelled++) {
        try (Generation generation = Generation.open(model, request(policy, pictures))) {
          while (generation.scale() <= scale) {
            generation.step();
          }
          generation.cancel(cancelled);
          GenerationResult rest = generation.finish();
          assertThat(rest.images()).hasSize(2);
          rest.images()
              .forEach(image ->
                  assertThat(image.pixels().rgb())
                      .isEqualTo(undisturbed.pictures().get(image.index()).rgb()));
        }
      }
    }
    try (Generation generation = Generation.open(model, request(policy, pictures))) {
      generation.step();
      generation.cancel();
      assertThatThrownBy(generation::finish).isInstanceOf(CancellationException.class);
    }
  }

  /** Each head is a head of its own, and what scales attend to is a share. */
  @Test
  void calibratesEveryHead() {
    assertThat(profile.isComplete()).isTrue();
    Set<Double> means = new HashSet<>();
    for (int source = 1; source < SCALES.count() - 1; source++) {
      for (int layer = 0; layer < 3; layer++) {
        for (int head = 0; head < 2; head++) {
          double mean = profile.scores().score(source, layer, head);
          assertThat(mean).isStrictlyBetween(0.0, 1.0);
          means.add(mean);
        }
      }
    }
    assertThat(means).hasSize(3 * 3 * 2);
  }

  @ParameterizedTest
  @MethodSource("policies")
  void teacherForcingMeasuresWhatIsMissing(String name) {
    GenerationRequest request = request(picture("circle", 3), picture("cross", 4));
    try (Conditioning condition = model.encode(request.pictures(), true);
        TeacherForcing forcing = TeacherForcing.record(model, condition, request, () -> false)) {
      Drawing drawn = draw(request);
      List<TokenDivergence> full = forcing.divergence(policy(name, 1, 2));
      for (int i = 0; i < 2 && !inFewBits(name); i++) {
        assertThat(forcing.drawing().agreement(drawn, i).overall()).isOne();
        assertThat(full.get(i).scales()).hasSize(5).containsOnly(0.0);
      }
      if (!name.equals("full")) {
        double budget = inFewBits(name) ? 1 : BUDGET;
        assertThat(forcing.divergence(policy(name, budget, 2)))
            .allSatisfy(picture -> {
              // There is nothing before the first scale.
              assertThat(picture.scales().getFirst()).isZero();
              assertThat(picture.scales().getLast()).isPositive();
            });
      }
    }
  }
}
