package io.heatkv.infinity.vae;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Decoder and encoder of every published tokenizer's form against the official classes. */
class PublishedTokenizersTest {
  private static final int SEED = 5;
  private static final float TOLERANCE = 2e-5f;

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "d16, 16, 16",
    "d24, 24, 16",
    "d32, 32, 16",
    "d64, 64, 16",
    "d56_f8_14_patchify, 14, 8"
  })
  void decodesAndEncodes(String name, int channels, int stride) {
    long live = backend.liveTensors();
    List<Integer> multipliers = stride == 8 ? List.of(1, 2, 4, 4) : List.of(1, 2, 4, 4, 4);
    VaeConfig config = new VaeConfig(channels, 32, multipliers, multipliers, 2, stride);
    SyntheticCheckpoint.write(
        folder, VaeKeys.shapes(config), StorageType.F32, SEED, 1 << 30, (_, _, _) -> {});
    try (Checkpoint weights = Checkpoints.open(folder);
        Checkpoint recorded =
            Checkpoints.open(TestDevice.resource("/golden-published/tokenizers.safetensors"));
        BsqVae vae =
            new BsqVae(VaeConfig.infer(weights), weights, backend, TestDevice.device(), DType.F32);
        Scope _ = Scope.open()) {
      assertThat(vae.config()).isEqualTo(config);
      assertThat(vae.decode(tensor(recorded, name + ".codes")).toFloats())
          .containsExactly(floats(recorded, name + ".image"), within(TOLERANCE));
      assertThat(vae.encode(tensor(recorded, name + ".pixels")).toFloats())
          .containsExactly(floats(recorded, name + ".features"), within(TOLERANCE));
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private Tensor tensor(Checkpoint recorded, String name) {
    return Weights.wrap(backend, recorded.entry(name), recorded);
  }

  private static float[] floats(Checkpoint recorded, String name) {
    return recorded.entry(name).bytes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
