package io.heatkv.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SyntheticCheckpointTest {
  private static final long SEED = -123456789012345L;
  private static final Map<String, long[]> SHAPES =
      Map.of(
          "a.weight", new long[] {600, 500},
          "b.norm1.weight", new long[] {2000},
          "b.norm1.bias", new long[] {2000},
          "layer_norm.weight", new long[] {7},
          "decoder.norm_out.norm.weight", new long[] {5},
          "normal.weight", new long[] {3, 3},
          "scalar", new long[] {},
          "none", new long[] {0, 4});

  @TempDir Path folder;

  /** Values of an implementation of Philox4x32-10 in Python, checked on the paper's vectors. */
  @Test
  void elementsAreThoseOfTheGenerator() {
    try (Checkpoint model = write("m", StorageType.F32, SEED, 1 << 20)) {
      double[] weight = {
        -0.006385774477745235, 0.0005227655788833737, 0.04955595684231843, -0.01651178074131327
      };
      double[] norm = {
        0.966454730098407, 0.970918587847315, 1.0028014737796582, 1.0420014920764933
      };
      for (int i = 0; i < 4; i++) {
        assertThat(value(model, "a.weight", i)).isCloseTo(weight[i], within(1e-8));
        assertThat(value(model, "b.norm1.weight", i)).isCloseTo(norm[i], within(1e-7));
      }
      assertThat(value(model, "a.weight", 6)).isCloseTo(-0.010311537828975585, within(1e-8));
    }
  }

  @Test
  void valuesSpreadAsPromised() {
    try (Checkpoint model = write("m", StorageType.F32, 1, 1 << 20)) {
      assertMoments(model, "a.weight", 0, 2e-4);
      assertMoments(model, "b.norm1.weight", 1, 2e-3);
      assertMoments(model, "b.norm1.bias", 0, 2e-3);
      assertThat(value(model, "layer_norm.weight", 3)).isCloseTo(1.0, within(0.07));
      assertThat(value(model, "decoder.norm_out.norm.weight", 3)).isCloseTo(1.0, within(0.07));
      assertThat(value(model, "normal.weight", 3)).isCloseTo(0.0, within(0.07));
    }
  }

  @Test
  void shardsChangeNothingAndSeedsAndNamesEverything() throws IOException {
    try (Checkpoint one = write("one", StorageType.BF16, 7, 1 << 30);
        Checkpoint many = write("many", StorageType.BF16, 7, 5000);
        Checkpoint again = write("again", StorageType.BF16, 7, 1 << 30);
        Checkpoint other = write("other", StorageType.BF16, 8, 1 << 30)) {
      assertThat(one.names()).isEqualTo(SHAPES.keySet());
      for (String name : one.names()) {
        assertThat(one.entry(name).shape()).isEqualTo(SHAPES.get(name));
        assertThat(bytes(many.entry(name))).as(name).isEqualTo(bytes(one.entry(name)));
      }
      assertThat(Fingerprint.of(again)).isEqualTo(Fingerprint.of(one));
      assertThat(bytes(other.entry("a.weight"))).isNotEqualTo(bytes(one.entry("a.weight")));
      assertThat(value(one, "b.norm1.bias", 5) + 1)
          .isNotCloseTo(value(one, "b.norm1.weight", 5), within(1e-6));
      assertThat(one.metadata())
          .containsEntry("heatkv.weights", "random weights, not trained; seed 7");
    }
    assertThat(Folders.checkedSums(folder.resolve("again")))
        .isEqualTo(Folders.checkedSums(folder.resolve("one")))
        .hasSize(3);
  }

  /** Tensors longer than a chunk must not start over. */
  @Test
  void chunksDoNotRepeat() {
    Map<String, long[]> shapes = Map.of("w", new long[] {(1 << 19) + 5});
    SyntheticCheckpoint.write(folder, shapes, StorageType.F32, 3, 1 << 30, (n, d, t) -> {});
    try (Checkpoint model = Checkpoints.open(folder)) {
      int same = 0;
      for (int i = 0; i < 1000; i++) {
        same += value(model, "w", i) == value(model, "w", i + (1 << 18)) ? 1 : 0;
      }
      assertThat(same).isLessThan(10);
    }
  }

  @Test
  void refusesOtherTypes() {
    assertThatThrownBy(() -> write("m", StorageType.I32, 1, 1 << 20))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private Checkpoint write(String name, StorageType dtype, long seed, long shardBytes) {
    Path target = folder.resolve(name);
    SyntheticCheckpoint.write(target, SHAPES, dtype, seed, shardBytes, (n, done, total) -> {});
    return Checkpoints.open(target);
  }

  private static void assertMoments(Checkpoint model, String name, double mean, double within) {
    long count = model.entry(name).elements();
    double sum = 0;
    double squares = 0;
    for (long i = 0; i < count; i++) {
      double value = value(model, name, i);
      sum += value;
      squares += (value - mean) * (value - mean);
    }
    assertThat(sum / count).isCloseTo(mean, within(within));
    assertThat(Math.sqrt(squares / count)).isCloseTo(0.02, within(within));
  }

  private static double value(Checkpoint model, String name, long index) {
    TensorEntry entry = model.entry(name);
    return switch (entry.dtype()) {
      case F32 ->
          entry
              .bytes()
              .get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 4 * index);
      default ->
          Float.intBitsToFloat(
              entry
                      .bytes()
                      .get(
                          ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                          2 * index)
                  << 16);
    };
  }

  private static byte[] bytes(TensorEntry entry) {
    return entry.bytes().toArray(ValueLayout.JAVA_BYTE);
  }
}
