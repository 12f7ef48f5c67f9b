package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.weights.Weights;
import org.junit.jupiter.api.Test;

/** Which row of its table T5 adds to a query's and key's product. */
class T5PositionsTest {
  private static final String TABLE =
      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  private static final int TOKENS = 140;

  /**
   * Distances from which each of 16 rows serves: eight of their own, then 8 * 16^(k / 8), rounded
   * up; keys behind the query have the rows from 16 on.
   */
  private static final int[] FIRST = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};

  @Test
  void rowsAreThoseOfTheReference() {
    InfinityDescription model = TestDevice.model();
    Backend backend = TestDevice.backend();
    T5Config config = T5Config.read(model.textEncoder().resolve("config.json"));
    try (Checkpoint weights = Checkpoints.open(model.textWeights());
        T5Encoder encoder =
            new T5Encoder(config, weights, backend, TestDevice.device(), DType.F32);
        Scope _ = Scope.open()) {
      float[] table = Weights.wrap(backend, weights.entry(TABLE), weights).to(DType.F32).toFloats();
      float[] bias = encoder.positionBias(TOKENS).toFloats();
      float[] expected = new float[config.heads() * TOKENS * TOKENS];
      for (int head = 0; head < config.heads(); head++) {
        for (int query = 0; query < TOKENS; query++) {
          for (int key = 0; key < TOKENS; key++) {
            int row = key > query ? 16 : 0;
            for (int i = 0; i < 16 && FIRST[i] <= Math.abs(key - query); i++) {
              row = (key > query ? 16 : 0) + i;
            }
            expected[(head * TOKENS + query) * TOKENS + key] = table[row * config.heads() + head];
          }
        }
      }
      assertThat(bias).isEqualTo(expected);
    }
  }
}
