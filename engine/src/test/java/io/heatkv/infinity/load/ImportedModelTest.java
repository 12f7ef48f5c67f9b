package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.Conversion;
import io.heatkv.load.HubCache;
import io.heatkv.load.ModelProfile;
import io.heatkv.load.ModelSource;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an import in each type changes, and that the calibration goes along. */
class ImportedModelTest {
  private static final InfinityDescription EMOJI = TestDevice.model();

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  /**
   * Rounding to 8, 11 or 24 binary digits leaves features and pixels (of a range of 2) that near,
   * as root mean squares; tolerances are thrice what was measured.
   */
  @ParameterizedTest
  @CsvSource({"BF16, 0.03, 0.0035", "F16, 0.015, 0", "F32, 0, 0"})
  void textAndPicturesStayNear(StorageType dtype, double features, double pixels)
      throws IOException {
    long live = backend.liveTensors();
    Path files = TestDevice.resource("/golden-published");
    InfinityDescription published =
        Finding.find(
                List.of(
                    files.resolve("tiny_2b.pth"),
                    files.resolve("tiny_2b.vae.pth"),
                    longerDigits(files.resolve("flan-t5"))),
                new HubCache(folder))
            .description();
    float[] expected = features(published);
    double scale = rms(expected, new float[expected.length]);
    assertThat(rms(features(imported(published, dtype, "tiny")), expected))
        .isLessThanOrEqualTo(features * scale);
    // The embedded tokenizer is stored in 16 bits of which 11 are digits.
    assertThat(rms(decoded(imported(EMOJI, dtype, "emoji")), decoded(EMOJI)))
        .isLessThanOrEqualTo(pixels);
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** The tiny text encoder with weights that bfloat16 doesn't hold exactly, as its own it does. */
  private Path longerDigits(Path from) throws IOException {
    Path target = Files.createDirectory(folder.resolve("text"));
    for (String name : List.of("config.json", "spiece.model")) {
      Files.copy(from.resolve(name), target.resolve(name));
    }
    try (Checkpoint weights = Checkpoints.open(from.resolve("model.safetensors.index.json"))) {
      List<Item> items = new ArrayList<>();
      for (String name : weights.names()) {
        byte[] bytes = weights.entry(name).bytes().toArray(ValueLayout.JAVA_BYTE);
        MemorySegment values = MemorySegment.ofArray(bytes);
        for (long i = 0; i < bytes.length / Float.BYTES; i++) {
          float value = values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
          values.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, 1.1f * value);
        }
        long[] shape = weights.entry(name).shape();
        items.add(new Item(name, StorageType.F32, shape, () -> values));
      }
      SafetensorsWriter.write(target.resolve("model.safetensors"), items, Map.of());
    }
    return target;
  }

  private InfinityDescription imported(InfinityDescription model, StorageType dtype, String name) {
    Path target = folder.resolve(name);
    model.convert(target, dtype, (_, _, _) -> {});
    return (InfinityDescription) ModelSource.find(target.toString());
  }

  private float[] features(InfinityDescription model) {
    T5Config config = T5Config.read(model.textEncoder().resolve("config.json"));
    try (Checkpoint weights = Checkpoints.open(model.textWeights());
        T5Encoder encoder =
            new T5Encoder(config, weights, backend, TestDevice.device(), DType.F32);
        Scope _ = Scope.open()) {
      return encoder.encode(new int[] {3, 9, 31, 47, 28, 3, 9, 1}).toFloats();
    }
  }

  private float[] decoded(InfinityDescription model) {
    float[] codes = new float[16 * 12 * 12];
    Random random = new Random(1);
    for (int i = 0; i < codes.length; i++) {
      codes[i] = random.nextBoolean() ? 0.25f : -0.25f;
    }
    try (Checkpoint weights = Checkpoints.open(model.vaeFile());
        BsqVae vae =
            new BsqVae(VaeConfig.infer(weights), weights, backend, TestDevice.device(), DType.F32);
        Scope _ = Scope.open()) {
      return vae.decode(Tensor.of(backend, codes, 1, 16, 12, 12)).toFloats();
    }
  }

  private static double rms(float[] a, float[] b) {
    assertThat(a).hasSameSizeAs(b);
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum / a.length);
  }

  @Test
  void theCalibrationGoesAlong() {
    Conversion result = EMOJI.convert(folder, StorageType.F32, (_, _, _) -> {});
    assertThat(result.calibration().orElseThrow().text()).contains("goes along", "64 prompts");
    InfinityDescription imported = (InfinityDescription) ModelSource.find(folder.toString());
    assertThat(imported.fingerprint()).isNotEqualTo(EMOJI.fingerprint());
    CalibrationProfile before = ModelProfile.find(EMOJI, Optional.empty());
    CalibrationProfile after = ModelProfile.find(imported, Optional.empty());
    assertThat(after.orders()).isEqualTo(before.orders());
    assertThat(after.promptsSha256()).isEqualTo(before.promptsSha256());
  }

  @Test
  void aCalibrationOfOtherWeightsStaysBehindAndIsNamed() throws IOException {
    Path source = Files.createDirectory(folder.resolve("source"));
    try (Stream<Path> files = Files.walk(EMOJI.folder())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path copy = source.resolve(EMOJI.folder().relativize(file).toString());
        Files.createDirectories(copy.getParent());
        Files.copy(file, copy);
      }
    }
    Path profile = source.resolve("emoji.heatkv.json");
    CalibrationProfile.read(profile).rebound("00ff").write(profile);
    Path target = folder.resolve("target");
    Conversion result =
        ModelSource.find(source.toString()).convert(target, StorageType.F32, (_, _, _) -> {});
    assertThat(result.calibration().orElseThrow().text())
        .contains(profile.toString(), "is of other weights", "calibrate again");
    assertThat(target.resolve("emoji.heatkv.json")).doesNotExist();
    assertThat(ModelSource.find(target.toString()).profile()).isEmpty();
  }
}
