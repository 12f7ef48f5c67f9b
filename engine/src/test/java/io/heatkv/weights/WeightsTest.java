package io.heatkv.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights stay in the mapped file where they can, and are freed when closed. */
class WeightsTest {
  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  private Path write() {
    Path file = folder.resolve("weights.safetensors");
    SafetensorsWriter.write(
        file,
        List.of(
            item("a", StorageType.F32, floats(1, 2, 3, 4), 2, 2),
            item("b", StorageType.F32, floats(5, 6), 1, 2),
            item("small", StorageType.I8, MemorySegment.ofArray(new byte[] {1}), 1)),
        Map.of());
    return file;
  }

  private static MemorySegment floats(float... values) {
    return Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, values);
  }

  private static SafetensorsWriter.Item item(
      String name, StorageType type, MemorySegment bytes, long... shape) {
    return new SafetensorsWriter.Item(name, type, shape, () -> bytes);
  }

  @Test
  void onTheCpuAStoredTypeIsNotCopied() {
    long live = backend.liveTensors();
    try (Checkpoint file = Checkpoints.open(write());
        Weights weights = new Weights(file, backend, Device.CPU)) {
      assertThat(weights.get("a", DType.F32).memory().address())
          .isEqualTo(file.entry("a").bytes().address());
      assertThat(weights.get("a", DType.BF16).dtype()).isEqualTo(DType.BF16);
      assertThat(backend.liveTensors()).isEqualTo(live + 2);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Sizes around those that several threads copy to a device, in the type stored and another. */
  @Test
  void whatComesLaterIsThereAfterWaiting() {
    long live = backend.liveTensors();
    Random random = new Random(5);
    List<float[]> contents = new ArrayList<>();
    List<SafetensorsWriter.Item> items = new ArrayList<>();
    for (int size : List.of(1, 3 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 7 << 20, 5)) {
      float[] content = new float[size];
      for (int i = 0; i < size; i++) {
        content[i] = random.nextInt(256) - 128;
      }
      items.add(item("t" + contents.size(), StorageType.F32, floats(content), size));
      contents.add(content);
    }
    Path path = folder.resolve("large.safetensors");
    SafetensorsWriter.write(path, items, Map.of());
    try (Checkpoint file = Checkpoints.open(path)) {
      try (Weights weights = new Weights(file, backend, TestDevice.device())) {
        List<Tensor> stored = new ArrayList<>();
        List<Tensor> halves = new ArrayList<>();
        for (int i = 0; i < contents.size(); i++) {
          stored.add(weights.later("t" + i, DType.F32));
          // Whole numbers up to 128 are exact in 16 bits.
          halves.add(weights.later("t" + i, DType.BF16));
        }
        weights.await();
        for (int i = 0; i < contents.size(); i++) {
          assertThat(stored.get(i).device()).isEqualTo(TestDevice.device());
          assertThat(stored.get(i).toFloats()).isEqualTo(contents.get(i));
          assertThat(halves.get(i).toFloats()).isEqualTo(contents.get(i));
        }
      }
      // What is under way ends before its memory is freed.
      try (Weights weights = new Weights(file, backend, TestDevice.device())) {
        Tensor _ = weights.storedLater("t5");
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  @Test
  void joinsAlongTheFirstDimension() {
    try (Checkpoint file = Checkpoints.open(write());
        Weights weights = new Weights(file, backend, TestDevice.device());
        Scope _ = Scope.open()) {
      assertThat(weights.joined(DType.F32, "b", "a").toFloats()).containsExactly(5, 6, 1, 2, 3, 4);
      assertThat(weights.joined(DType.F32, "b", "a").shape()).containsExactly(3, 2);
    }
  }

  @Test
  void refusesWhatIsMissingOrOfATypeWithoutTensors() {
    try (Checkpoint file = Checkpoints.open(write());
        Weights weights = new Weights(file, backend, TestDevice.device())) {
      assertThatThrownBy(() -> weights.get("c", DType.F32))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("'c'");
      assertThatThrownBy(() -> weights.get("small", DType.F32))
          .isInstanceOf(UserException.class)
          .hasMessageContainingAll("small", "I8");
    }
  }
}
