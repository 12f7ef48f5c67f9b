package io.heatkv.verify.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import io.heatkv.verify.Check;
import io.heatkv.verify.Comparison;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.Arrays;
import java.util.function.Consumer;

/** The text encoder: last hidden states of real tokens, and the first block's position bias. */
public final class GoldenT5 implements GoldenReader {
  private static final String WEIGHTS = "tiny_t5.safetensors";
  private static final String CONFIG = "tiny_t5_config.json";
  private static final String RECORDED = "tiny_t5_io.safetensors";
  private static final String STATES = "last_hidden_state";
  private static final String FIRST_BIAS = "position_bias";
  private static final String LAST_BIAS = "position_bias_last_row";

  @Override
  public boolean isIn(Golden golden) {
    return golden.has(WEIGHTS, CONFIG, RECORDED);
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    T5Config config = T5Config.read(golden.folder().resolve(CONFIG));
    try (Checkpoint weights = golden.open(WEIGHTS);
        Checkpoint recorded = golden.open(RECORDED);
        T5Encoder encoder =
            new T5Encoder(config, weights, golden.backend(), golden.device(), DType.F32);
        Scope _ = Scope.open()) {
      states(golden, recorded, encoder).report(checks);
      Comparison bias = new Comparison("text encoder position bias", 1e-6);
      if (recorded.find(FIRST_BIAS).isPresent()) {
        bias(golden, recorded, encoder, FIRST_BIAS, false, bias);
      }
      if (recorded.find(LAST_BIAS).isPresent()) {
        bias(golden, recorded, encoder, LAST_BIAS, true, bias);
      }
      bias.report(checks);
    }
  }

  /** Each row alone and unpadded: padding and mask must not matter. */
  private static Comparison states(Golden golden, Checkpoint recorded, T5Encoder encoder) {
    Comparison comparison = new Comparison("text encoder", 1e-4);
    Tensor ids = golden.tensor(recorded, "input_ids", 2);
    Tensor mask = golden.tensor(recorded, "attention_mask", 2);
    Tensor states = golden.tensor(recorded, STATES, 3);
    for (long row = 0; row < ids.size(0); row++) {
      double[] real = mask.select(0, row).toDoubles();
      int tokens = (int) Arrays.stream(real).filter(value -> value == 1).count();
      double[] numbers = ids.select(0, row).toDoubles();
      if (tokens == 0 || tokens > numbers.length) {
        throw new UserException(
            recorded.path() + ": row " + row + " of attention_mask has " + tokens + " real tokens");
      }
      int[] prompt = new int[tokens];
      for (int i = 0; i < tokens; i++) {
        prompt[i] = id(numbers[i], encoder.config().vocabulary(), recorded);
      }
      comparison.add(
          encoder.encode(prompt).toDoubles(),
          states.select(0, row).narrow(0, 0, tokens).toDoubles(),
          STATES);
    }
    return comparison;
  }

  private static int id(double value, int vocabulary, Checkpoint recorded) {
    if (value < 0 || value >= vocabulary) {
      throw new UserException(
          "%s: token id %.0f is not below the vocabulary of %d"
              .formatted(recorded.path(), value, vocabulary));
    }
    return (int) value;
  }

  /** Recorded for one query [1, heads, keys]. */
  private static void bias(
      Golden golden,
      Checkpoint recorded,
      T5Encoder encoder,
      String name,
      boolean last,
      Comparison comparison) {
    int tokens = Math.toIntExact(golden.tensor(recorded, name, 3).size(2));
    Tensor all = encoder.positionBias(tokens);
    comparison.add(all.select(2, last ? tokens - 1 : 0), recorded, name);
  }
}
