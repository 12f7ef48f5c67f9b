package org.example;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.Candidates;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.policy.PolicyProvider;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A policy of another jar, with nothing but what is public. */
class CheckerboardTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4,6x6");

  @TempDir private Path folder;

  /** Runs something with a jar's class path, here a folder. */
  private static <T> T with(Path jar, Inside<T> run) throws IOException {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {jar.toUri().toURL()}, before)) {
      thread.setContextClassLoader(loader);
      return run.run();
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private interface Inside<T> {
    T run();
  }

  private static CachePolicy create(String name, ImageGenerator model) {
    Budget half = new Budget.Ratio(0.5);
    return CachePolicies.create(
        name,
        new PolicyInputs(
            half,
            model.description().kvShape(DType.F32, SCALES),
            Optional.empty(),
            () -> {
              throw new AssertionError("no profile is needed");
            }));
  }

  @Test
  void aRuleIsTestedWithoutACache() {
    int[] tokens = IntStream.range(0, SCALES.offset(2)).toArray();
    Candidates candidates = new Candidates(SCALES, 1, 0, 0, 3, tokens);
    assertThat(new Checkerboard().scores(candidates))
        .containsExactly(Double.POSITIVE_INFINITY, 101, 1, 1, 101);
  }

  @Test
  void theServiceLoaderFindsThePolicyAndItDraws() throws IOException {
    assertThat(CachePolicies.names()).doesNotContain("checkerboard");
    try (ImageGenerator model =
        new ImageGenerator(
            TestDevice.model(), TestDevice.backend(), TestDevice.device(), DType.F32)) {
      CachePolicy found =
          with(
              TestDevice.resource("/policy-jar/META-INF/services").getParent().getParent(),
              () -> {
                assertThat(CachePolicies.names()).endsWith("ams-kv", "checkerboard");
                assertThatThrownBy(() -> create("chekerboard", model))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("did you mean checkerboard?");
                return create("checkerboard", model);
              });
      GenerationRequest request =
          GenerationRequest.of(
              List.of("a cat"),
              Optional.empty(),
              1,
              1,
              SCALES,
              SamplingOptions.of(3, 0.7, 0.97),
              found);
      GenerationResult drawn = model.generate(request, GenerationListener.NONE);
      // A half of 21 tokens in 12 layers of 10 heads, in whole tokens.
      // Half of the tokens, in 16 bits instead of 32.
      assertThat(drawn.kv().storage()).isEqualTo(drawn.fullKvBytes() / 4);
      assertThat(drawn.images()).hasSize(1);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "org.example.CheckerboardTest$Second, provides a KV policy 'snapkv'",
    "org.example.CheckerboardTest$Odd, provides a KV policy '../x'",
    "org.example.Missing, a KV policy can't be loaded",
    "org.example.CheckerboardTest, a KV policy can't be loaded"
  })
  void aFaultyProviderIsNamedInOneLine(String type, String message) throws IOException {
    Path services = folder.resolve("META-INF/services/io.heatkv.policy.PolicyProvider");
    Files.createDirectories(services.getParent());
    Files.writeString(services, type + "\n");
    with(
        folder,
        () ->
            assertThatThrownBy(CachePolicies::names)
                .isInstanceOf(UserException.class)
                .hasMessageContaining(message)
                .hasMessageContaining(type));
  }

  /** Has the name of another policy. */
  public static final class Second implements PolicyProvider {
    @Override
    public String name() {
      return "snapkv";
    }

    @Override
    public CachePolicy create(PolicyInputs inputs) {
      return CachePolicy.FULL;
    }
  }

  /** Has a name that is none. */
  public static final class Odd implements PolicyProvider {
    @Override
    public String name() {
      return "../x";
    }

    @Override
    public CachePolicy create(PolicyInputs inputs) {
      return CachePolicy.FULL;
    }
  }
}
