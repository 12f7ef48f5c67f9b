package io.heatkv.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.nio.file.Path;
import java.util.List;

/** From prompts to text features: tokenizer and T5 encoder of one model. */
final class PromptEncoder implements TextFeatures {
  private final T5Encoder encoder;
  private final PromptTokenizer tokenizer;

  /**
   * @param folder with config.json and tokenizer.json or spiece.model
   * @param weights of the encoder; must stay open meanwhile
   * @param channels of the features that the transformer reads
   */
  PromptEncoder(
      Path folder,
      Checkpoint weights,
      int channels,
      int maxTokens,
      Backend backend,
      Device device) {
    T5Config config = T5Config.read(folder.resolve("config.json"));
    if (config.width() != channels) {
      throw new UserException(
          folder
              + ": the text encoder has "
              + config.width()
              + " channels, the transformer reads "
              + channels
              + "; they belong to different models");
    }
    tokenizer = PromptTokenizer.in(folder, maxTokens);
    try {
      encoder = new T5Encoder(config, weights, backend, device, DType.F32);
    } catch (RuntimeException | Error e) {
      tokenizer.close();
      throw e;
    }
  }

  @Override
  public Tensor of(String prompt, List<String> warnings) {
    PromptTokenizer.Tokens tokens = tokenizer.encode(prompt);
    if (tokens.truncated()) {
      warnings.add(
          "prompt of %d tokens is cut to %d, the model's text length"
              .formatted(tokens.tokens(), tokens.ids().length));
    }
    return encoder.encode(tokens.ids());
  }

  @Override
  public void close() {
    tokenizer.close();
    encoder.close();
  }
}
