package io.heatkv.spring.ai.autoconfigure;

import io.heatkv.ImageGenerator;
import io.heatkv.family.NextScaleModel;
import io.heatkv.spring.ai.HeatKvImageModel;
import java.util.Optional;
import org.springframework.boot.health.contributor.AbstractHealthIndicator;
import org.springframework.boot.health.contributor.Health;

/** Down if the device doesn't answer, or failed in the last pass. It draws nothing. */
final class HeatKvHealthIndicator extends AbstractHealthIndicator {
  private final ImageGenerator generator;
  private final HeatKvImageModel model;

  HeatKvHealthIndicator(ImageGenerator generator, HeatKvImageModel model) {
    super("the device doesn't answer");
    this.generator = generator;
    this.model = model;
  }

  @Override
  protected void doHealthCheck(Health.Builder builder) {
    NextScaleModel networks = generator.model();
    networks.backend().synchronize(networks.device());
    builder
        .withDetail("model", generator.description().name())
        .withDetail("device", networks.device().toString())
        .withDetail("libtorch", networks.backend().description())
        .withDetail("native_tensors", networks.backend().liveTensors());
    Optional<Throwable> failure = model.failure();
    if (failure.isPresent()) {
      builder.down(failure.get());
    } else {
      builder.up();
    }
  }
}
