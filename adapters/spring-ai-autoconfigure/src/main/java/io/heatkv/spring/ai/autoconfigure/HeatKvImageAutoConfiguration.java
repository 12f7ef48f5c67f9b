package io.heatkv.spring.ai.autoconfigure;

import io.heatkv.ImageGenerator;
import io.heatkv.spring.ai.HeatKvImageModel;
import io.micrometer.observation.ObservationRegistry;
import org.springframework.ai.image.observation.DefaultImageModelObservationConvention;
import org.springframework.ai.image.observation.ImageModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The image model, unless {@code spring.ai.model.image} names another. */
@AutoConfiguration
@ConditionalOnProperty(
    name = SpringAIModelProperties.IMAGE_MODEL,
    havingValue = HeatKvImageModel.PROVIDER,
    matchIfMissing = true)
@EnableConfigurationProperties(HeatKvImageProperties.class)
public class HeatKvImageAutoConfiguration {
  /** The model's networks; closed with the application. */
  @Bean(destroyMethod = "close")
  @ConditionalOnMissingBean
  public ImageGenerator heatKvImageGenerator(HeatKvImageProperties properties) {
    return ImageGenerator.open(properties.model(), properties.opening());
  }

  /** The model as Spring AI knows it. */
  @Bean
  @ConditionalOnMissingBean
  public HeatKvImageModel heatKvImageModel(
      ImageGenerator generator,
      HeatKvImageProperties properties,
      ObjectProvider<ObservationRegistry> registry,
      ObjectProvider<ImageModelObservationConvention> convention) {
    return new HeatKvImageModel(
        generator,
        properties.options(),
        registry.getIfUnique(() -> ObservationRegistry.NOOP),
        convention.getIfAvailable(DefaultImageModelObservationConvention::new));
  }

  /** Its health, in applications that tell theirs. */
  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({HealthIndicator.class, ConditionalOnEnabledHealthIndicator.class})
  static class Health {
    @Bean
    @ConditionalOnMissingBean(name = "heatKvHealthIndicator")
    @ConditionalOnEnabledHealthIndicator(HeatKvImageModel.PROVIDER)
    HealthIndicator heatKvHealthIndicator(ImageGenerator generator, HeatKvImageModel model) {
      return new HeatKvHealthIndicator(generator, model);
    }
  }
}
