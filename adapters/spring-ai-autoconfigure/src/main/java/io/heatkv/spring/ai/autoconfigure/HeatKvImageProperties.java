package io.heatkv.spring.ai.autoconfigure;

import io.heatkv.OpenOptions;
import io.heatkv.load.ModelSource;
import io.heatkv.spring.ai.HeatKvImageOptions;
import io.heatkv.tensor.Device;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Which model draws, where, and what prompts get that say nothing else.
 *
 * @param model emoji, a folder with a model's files, or the file of a transformer
 * @param device cpu, cuda or cuda:N
 * @param libtorch folder of a libtorch, such as that of a PyTorch for CUDA
 * @param threads of an operator on the CPU; 0 is one for each core
 * @param n pictures of a prompt
 * @param width in pixels, together with the height
 * @param height in pixels
 * @param seed of the first picture; without one, one by chance
 * @param policy name of a cache policy; with a budget heatkv is the default
 * @param kvBudget a ratio of the full cache such as 10%, or a size such as 4MiB
 */
@ConfigurationProperties(HeatKvImageProperties.PREFIX)
public record HeatKvImageProperties(
    @DefaultValue(ModelSource.EMBEDDED) String model,
    @DefaultValue("cpu") String device,
    @Nullable Path libtorch,
    @DefaultValue("0") int threads,
    @DefaultValue("1") int n,
    @Nullable Integer width,
    @Nullable Integer height,
    @Nullable Long seed,
    @Nullable String policy,
    @Nullable String kvBudget) {
  /** Where they stand. */
  public static final String PREFIX = "spring.ai.heatkv.image";

  OpenOptions opening() {
    return new OpenOptions(
        Device.parse(device), Optional.empty(), Optional.ofNullable(libtorch), threads);
  }

  HeatKvImageOptions options() {
    return new HeatKvImageOptions(n, null, width, height, seed, policy, kvBudget);
  }
}
