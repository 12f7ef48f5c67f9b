package io.heatkv.spring.ai.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.ImageGenerator;
import io.heatkv.spring.ai.HeatKvImageModel;
import io.heatkv.spring.ai.HeatKvImageOptions;
import io.heatkv.tensor.Backend;
import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.image.ImageModel;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** What an application gets from the starter, and how it says no. */
class HeatKvImageAutoConfigurationTest {
  @TempDir private static Path folder;

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withPropertyValues("spring.ai.heatkv.image.model=" + folder)
          .withConfiguration(AutoConfigurations.of(HeatKvImageAutoConfiguration.class));

  @BeforeAll
  static void writeAModel() {
    ToyFiles.write(folder, new ToyConfig(2), 1);
  }

  @Test
  void aModelIsThereAsPropertiesSayAndEndsWithTheApplication() {
    long[] before = new long[1];
    Backend[] backend = new Backend[1];
    try (ImageGenerator other = ImageGenerator.open(folder.toString())) {
      backend[0] = other.model().backend();
      before[0] = backend[0].liveTensors();
      runner
          .withPropertyValues(
              "spring.ai.model.image=heatkv",
              "spring.ai.heatkv.image.policy=h2o",
              "spring.ai.heatkv.image.kv-budget=50%",
              "spring.ai.heatkv.image.seed=7",
              "spring.ai.heatkv.image.width=28",
              "spring.ai.heatkv.image.height=20",
              "spring.ai.heatkv.image.threads=1")
          .run(context -> {
            assertThat(context).hasSingleBean(ImageModel.class);
            assertThat(context.getBean(HeatKvImageModel.class).options())
                .isEqualTo(new HeatKvImageOptions(1, "toy", 28, 20, 7L, "h2o", "50%"));
            Health health =
                Objects.requireNonNull(context.getBean(HealthIndicator.class).health(true));
            assertThat(health.getStatus()).isEqualTo(Status.UP);
            assertThat(health.getDetails())
                .containsAllEntriesOf(Map.of("model", "toy", "device", "cpu"))
                .containsKeys("libtorch", "native_tensors");
          });
      assertThat(backend[0].liveTensors()).isEqualTo(before[0]);
    }
  }

  @Test
  void anotherProviderMayBeChosen() {
    runner
        .withPropertyValues("spring.ai.model.image=openai")
        .run(context -> assertThat(context).doesNotHaveBean(ImageModel.class));
  }

  @Test
  void healthCanBeLeftOut() {
    runner
        .withPropertyValues("management.health.heatkv.enabled=false")
        .run(context ->
            assertThat(context)
                .hasSingleBean(HeatKvImageModel.class)
                .doesNotHaveBean(HealthIndicator.class));
    runner
        .withClassLoader(new FilteredClassLoader(HealthIndicator.class))
        .run(context -> assertThat(context).hasSingleBean(HeatKvImageModel.class));
  }

  @Configuration(proxyBeanMethods = false)
  static class Own {
    @Bean
    ImageGenerator own() {
      return ImageGenerator.open(folder.toString());
    }
  }

  @Test
  void anApplicationsOwnGeneratorIsTaken() {
    runner
        .withUserConfiguration(Own.class)
        .run(context ->
            assertThat(context.getBean(ImageGenerator.class)).isSameAs(context.getBean("own")));
  }

  @Test
  void wrongPropertiesEndTheStartInOneLine() {
    runner
        .withPropertyValues("spring.ai.heatkv.image.model=missing")
        .run(context -> {
          assertThat(context).hasFailed();
          FailureAnalysis analysis =
              Objects.requireNonNull(
                  new UserFailureAnalyzer().analyze(context.getStartupFailure()));
          assertThat(analysis.getDescription()).isEqualTo("model 'missing' is unknown");
          assertThat(analysis.getAction()).startsWith("expected emoji, emoji-512, a folder");
        });
  }
}
