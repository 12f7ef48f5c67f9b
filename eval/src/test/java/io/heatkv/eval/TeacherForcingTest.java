package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.Calibrator;
import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The embedded model over small scales, and divergences that follow from the definition. */
class TeacherForcingTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4,6x6");
  private static final SamplingOptions SAMPLING = SamplingOptions.of(3, 0.7, 0.97);

  @TempDir static Path folder;

  private static Backend backend;
  private static ImageGenerator model;
  private static CalibrationProfile profile;
  private long live;

  @BeforeAll
  static void load() {
    backend = TestModel.backend();
    model = TestModel.open();
    profile =
        new Calibrator(model, SCALES, SAMPLING, 1, 1)
            .calibrate(
                List.of("a tree"),
                folder.resolve("tree.heatkv.json"),
                new Calibrator.Listener() {
                  @Override
                  public void promptDone(int done, int count) {}

                  @Override
                  public boolean isCancelled() {
                    return false;
                  }
                });
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static GenerationRequest request(List<String> prompts, List<Long> seeds) {
    return request(prompts, seeds, SCALES);
  }

  private static GenerationRequest request(
      List<String> prompts, List<Long> seeds, ScaleGrids grids) {
    return new GenerationRequest(
        IntStream.range(0, seeds.size())
            .mapToObj(i -> new PictureRequest(prompts.get(i), seeds.get(i), SAMPLING))
            .toList(),
        grids,
        CachePolicy.FULL);
  }

  /** A recorded batch with its prompts. */
  private static final class Forced implements AutoCloseable {
    private final Conditioning text;
    private final TeacherForcing forcing;

    Forced(GenerationRequest request, BooleanSupplier cancelled) {
      text = model.model().encode(request.pictures(), true);
      try {
        forcing = TeacherForcing.record(model.model(), text, request, cancelled);
      } catch (RuntimeException e) {
        text.close();
        throw e;
      }
    }

    List<TokenDivergence> divergence(CachePolicy policy) {
      return forcing.divergence(policy);
    }

    @Override
    public void close() {
      forcing.close();
      text.close();
    }
  }

  private static CachePolicy policy(String name, GenerationRequest request, double budget) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            new Budget.Ratio(budget), model.kvShape(request), Optional.empty(), () -> profile));
  }

  @Test
  void theFullCacheDoesNotDivergeFromItself() {
    GenerationRequest request = request(List.of("a cat", "a red apple"), List.of(3L, 4L));
    try (Forced forcing = new Forced(request, () -> false)) {
      for (CachePolicy same : List.of(CachePolicy.FULL, policy("heatkv", request, 1.0))) {
        assertThat(forcing.divergence(same))
            .hasSize(2)
            .allSatisfy(picture -> {
              assertThat(picture.scales()).containsExactly(0.0, 0.0, 0.0, 0.0);
              assertThat(picture.overall()).isZero();
            });
      }
      // The bits are those that the model draws by itself.
      try (Generation generation = model.open(request)) {
        Drawing drawn = Drawing.of(generation, GenerationListener.NONE);
        assertThat(drawn.tokens()).hasSize(4);
        for (int picture = 0; picture < 2; picture++) {
          assertThat(forcing.forcing.drawing().agreement(drawn, picture).overall()).isOne();
        }
      }
    }
  }

  @Test
  void smallerCachesDivergeOnceSomethingIsMissing() {
    GenerationRequest request = request(List.of("a cat"), List.of(3L));
    try (Forced forcing = new Forced(request, () -> false)) {
      TokenDivergence half = forcing.divergence(policy("heatkv", request, 0.5)).getFirst();
      TokenDivergence tenth = forcing.divergence(policy("heatkv", request, 0.35)).getFirst();
      // Nothing is older than the first scale, which lies in the sink.
      assertThat(half.scales().getFirst()).isZero();
      assertThat(half.scales().getLast()).isPositive();
      assertThat(tenth.overall()).isGreaterThan(half.overall());
      double weighted = 0;
      for (int t = 0; t < 4; t++) {
        weighted += half.scales().get(t) * SCALES.tokens(t);
      }
      assertThat(half.overall()).isCloseTo(weighted / (1 + 4 + 16 + 36), within(1e-15));
    }
  }

  @Test
  void aBatchMeasuresWhatItsPicturesMeasureAlone() {
    GenerationRequest both = request(List.of("a cat", "a smiling red heart"), List.of(3L, 9L));
    List<TokenDivergence> together;
    try (Forced forcing = new Forced(both, () -> false)) {
      together = forcing.divergence(policy("random", both, 0.5));
    }
    for (int i = 0; i < 2; i++) {
      GenerationRequest alone =
          request(List.of(both.pictures().get(i).prompt()), List.of(both.pictures().get(i).seed()));
      try (Forced forcing = new Forced(alone, () -> false)) {
        TokenDivergence single = forcing.divergence(policy("random", alone, 0.5)).getFirst();
        assertThat(single.overall()).isPositive();
        for (int t = 0; t < 4; t++) {
          // Products of other sizes are rounded otherwise.
          assertThat(together.get(i).scales().get(t))
              .as("picture %d, scale %d", i, t)
              .isCloseTo(single.scales().get(t), within(1e-4 * single.scales().get(t) + 1e-9));
        }
      }
    }
  }

  @Test
  void divergenceOfMadeUpLogits() {
    long seed = 20260301;
    Random random = new Random(seed);
    float[] p = new float[2 * 3 * 8];
    float[] q = new float[p.length];
    double[] expected = new double[2];
    for (int i = 0; i < p.length; i += 2) {
      double one = random.nextDouble();
      double other = random.nextDouble();
      // Shifting both logits changes no probability.
      float shift = random.nextFloat(-20, 20);
      p[i] = (float) Math.log(1 - one) + shift;
      p[i + 1] = (float) Math.log(one) + shift;
      q[i] = (float) Math.log(1 - other);
      q[i + 1] = (float) Math.log(other);
      expected[i / 24] +=
          (one * Math.log(one / other) + (1 - one) * Math.log((1 - one) / (1 - other))) / 12;
    }
    try (Scope _ = Scope.open()) {
      double[] means =
          TeacherForcing.means(
              Tensor.of(backend, p, 2, 3, 4, 2), Tensor.of(backend, q, 2, 3, 4, 2));
      assertThat(means).as("seed " + seed).containsExactly(expected, within(1e-5));
      // A fair bit against one that is 1 with 3/4: ln 2 - ln 3 / 2.
      double[] fair =
          TeacherForcing.means(
              Tensor.of(backend, new float[] {0, 0}, 1, 1, 1, 2),
              Tensor.of(backend, new float[] {0, (float) Math.log(3)}, 1, 1, 1, 2));
      assertThat(fair).containsExactly(new double[] {0.14384103622589042}, within(1e-8));
    }
  }

  /** Float32 would lose it: the divergence of logits d apart is d² / 8 about a fair bit. */
  @Test
  void tinyDifferencesAreMeasured() {
    float d = 0x1p-13f;
    try (Scope _ = Scope.open()) {
      double[] means =
          TeacherForcing.means(
              Tensor.of(backend, new float[] {0, 0}, 1, 1, 1, 2),
              Tensor.of(backend, new float[] {0, d}, 1, 1, 1, 2));
      assertThat(means[0]).isCloseTo((double) d * d / 8, within(1e-14));
    }
  }

  @Test
  void endingOrFailingRunsFreeTheirTensors() {
    GenerationRequest request = request(List.of("a cat"), List.of(3L));
    AtomicInteger asked = new AtomicInteger();
    assertThatThrownBy(() -> new Forced(request, () -> asked.incrementAndGet() == 2))
        .isInstanceOf(CancellationException.class);
    asked.set(0);
    try (Forced forcing = new Forced(request, () -> asked.incrementAndGet() == 6)) {
      assertThatThrownBy(() -> forcing.divergence(CachePolicy.FULL))
          .isInstanceOf(CancellationException.class);
      assertThat(asked).hasValue(6);
      // A profile of other scales fits no cache of these.
      GenerationRequest other =
          request(List.of("a cat"), List.of(1L), ScaleGrids.parse("1x1,2x2,4x4"));
      CachePolicy heatKv = policy("heatkv", request, 0.5);
      try (Forced shorter = new Forced(other, () -> false)) {
        assertThatThrownBy(() -> shorter.divergence(heatKv)).isInstanceOf(UserException.class);
      }
    }
    String many = "1x1,".repeat(50) + "2x2";
    GenerationRequest large = request(List.of("a cat"), List.of(1L), ScaleGrids.parse(many));
    assertThatThrownBy(() -> new Forced(large, () -> false)).isInstanceOf(UserException.class);
  }

  @Test
  void meansOverPictures() {
    TokenDivergence mean =
        TokenDivergence.mean(
            List.of(
                new TokenDivergence(List.of(0.0, 1.0), 0.8),
                new TokenDivergence(List.of(0.5, 2.0), 1.6)));
    assertThat(mean.scales()).containsExactly(0.25, 1.5);
    assertThat(mean.overall()).isCloseTo(1.2, within(1e-15));
    assertThatThrownBy(() -> TokenDivergence.mean(List.of()))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
