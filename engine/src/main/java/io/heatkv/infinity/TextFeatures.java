package io.heatkv.infinity;

import io.heatkv.tensor.Tensor;
import java.util.List;

/** From prompts to text features. */
@FunctionalInterface
public interface TextFeatures extends AutoCloseable {
  /**
   * Features [tokens, channels] of a prompt, in the innermost open scope.
   *
   * @param warnings gets a line if the prompt was cut
   */
  Tensor of(String prompt, List<String> warnings);

  @Override
  default void close() {}
}
