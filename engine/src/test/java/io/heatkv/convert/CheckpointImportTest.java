package io.heatkv.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CheckpointImportTest {
  @TempDir Path folder;

  @Test
  void convertsFloatsAndKeepsTheRest() throws IOException {
    try (Checkpoint source = Checkpoints.open(Folders.fixture("dtypes_legacy.pth"))) {
      CheckpointImport.Result result = run(source, folder, StorageType.F32, 40);
      assertThat(result.index()).isEqualTo(folder.resolve("model.safetensors.index.json"));
      assertThat(result.written()).isGreaterThan(3);
      assertThat(result.kept()).isZero();
      assertThat(result.overflowed()).isEmpty();
      try (Checkpoint written = Checkpoints.open(folder)) {
        assertThat(written.names()).isEqualTo(source.names());
        assertThat(written.metadata())
            .containsEntry("heatkv.source", Fingerprint.of(source))
            .containsEntry("heatkv.dtype", "F32");
        for (String name : written.names()) {
          TensorEntry entry = written.entry(name);
          TensorEntry original = source.entry(name);
          assertThat(entry.shape()).isEqualTo(original.shape());
          boolean floating = name.matches(".*float.*|scalar|empty|no.elements");
          assertThat(entry.dtype())
              .as(name)
              .isEqualTo(floating ? StorageType.F32 : original.dtype());
          if (entry.dtype() == original.dtype()) {
            assertThat(bytes(entry)).as(name).isEqualTo(bytes(original));
          }
        }
        // The last element is NaN, whose payload no conversion need keep.
        assertThat(Arrays.copyOf(bytes(written.entry("bfloat16")), 20))
            .isEqualTo(Arrays.copyOf(bytes(source.entry("float32")), 20));
      }
    }
    Folders.checkedSums(folder);
  }

  @Test
  void importsViewsAndPartsOfAnyFormat() {
    try (Checkpoint source = Checkpoints.open(Folders.fixture("training.pth"));
        Checkpoint truth = Checkpoints.open(Folders.fixture("training.safetensors"))) {
      run(source.under("model"), folder, StorageType.F32, 1 << 20);
      try (Checkpoint written = Checkpoints.open(folder)) {
        assertThat(written.names()).containsExactly("w");
        assertThat(bytes(written.entry("w"))).isEqualTo(bytes(truth.entry("model.w")));
      }
    }
  }

  @Test
  void goesOnWhereItStopped() throws IOException {
    Path whole = folder.resolve("whole");
    Path resumed = folder.resolve("resumed");
    try (Checkpoint source = Checkpoints.open(Folders.fixture("views.pth"))) {
      int shards = run(source, whole, StorageType.BF16, 300).written();
      assertThat(shards).isGreaterThan(3);
      List<String> seen = new ArrayList<>();
      assertThatThrownBy(() ->
              CheckpointImport.run(
                  source,
                  resumed,
                  StorageType.BF16,
                  300,
                  (name, done, total) -> {
                    seen.add(name);
                    if (seen.size() == 10) {
                      throw new IllegalStateException("killed");
                    }
                  }))
          .hasMessage("killed");
      Files.write(resumed.resolve(".heatkv-00000000-0000-0000-0000-000000000000.tmp"), new byte[9]);
      CheckpointImport.Result second = run(source, resumed, StorageType.BF16, 300);
      assertThat(second.kept()).isBetween(1, shards - 1);
      assertThat(second.written() + second.kept()).isEqualTo(shards);
      assertThat(Folders.checkedSums(resumed)).isEqualTo(Folders.checkedSums(whole));
      assertThat(run(source, resumed, StorageType.BF16, 300))
          .isEqualTo(new CheckpointImport.Result(second.index(), 0, shards, Map.of()));
    }
  }

  @Test
  void writesDamagedAndMissingShardsAgain() throws IOException {
    try (Checkpoint source = Checkpoints.open(Folders.fixture("views.pth"))) {
      int shards = run(source, folder, StorageType.BF16, 300).written();
      Map<String, String> before = Folders.checkedSums(folder);
      Path first = folder.resolve("model-00001-of-%05d.safetensors".formatted(shards));
      byte[] bytes = Files.readAllBytes(first);
      bytes[bytes.length - 1] ^= 1;
      Files.write(first, bytes);
      Files.delete(folder.resolve("model-00002-of-%05d.safetensors".formatted(shards)));
      Files.write(folder.resolve("model-00003-of-%05d.safetensors".formatted(shards)), new byte[5]);
      assertThat(run(source, folder, StorageType.BF16, 300).written()).isEqualTo(3);
      assertThat(Folders.checkedSums(folder)).isEqualTo(before);
      Files.delete(folder.resolve("SHA256SUMS"));
      assertThat(run(source, folder, StorageType.BF16, 300).written()).isEqualTo(shards);
      assertThat(Folders.checkedSums(folder)).isEqualTo(before);
    }
  }

  @Test
  void reportsProgressInBytesAndWhatBecameInfinite() {
    try (Checkpoint source = Checkpoints.open(Folders.fixture("conversions.safetensors"))) {
      List<Long> done = new ArrayList<>();
      List<Long> totals = new ArrayList<>();
      CheckpointImport.Result result =
          CheckpointImport.run(
              source,
              folder,
              StorageType.F16,
              4000,
              (name, bytes, total) -> {
                done.add(bytes);
                totals.add(total);
              });
      long total = source.names().stream().mapToLong(n -> 2 * source.entry(n).elements()).sum();
      assertThat(done).isSorted().endsWith(total);
      assertThat(totals).containsOnly(total);
      assertThat(result.overflowed()).containsKeys("f64", "bf16").doesNotContainKeys("f16");
    }
  }

  @Test
  void refusesFoldersThatAreTaken() throws IOException {
    Path other = folder.resolve("other");
    Path file = Files.write(folder.resolve("file"), new byte[1]);
    try (Checkpoint source = Checkpoints.open(Folders.fixture("views.pth"))) {
      run(source, other, StorageType.BF16, 300);
      assertRefused(source, other, StorageType.F32, 300, "of another model or of other settings");
      assertRefused(source, other, StorageType.BF16, 500, "name an empty folder");
      assertRefused(source, file, StorageType.BF16, 300, "cannot be written");
      Path index = Files.createDirectory(folder.resolve("index"));
      Files.write(index.resolve("pytorch_model.bin.index.json"), new byte[1]);
      assertRefused(source, index, StorageType.BF16, 300, "holds 'pytorch_model.bin.index.json'");
      Path model = Files.createDirectory(folder.resolve("model"));
      Files.write(model.resolve("model.safetensors"), new byte[1]);
      assertRefused(source, model, StorageType.BF16, 300, "holds 'model.safetensors' of another");
    }
  }

  /** Tensors of 2, 4 and 6 bytes, by name; one that is larger than a shard has one of its own. */
  @ParameterizedTest
  @CsvSource({"1, a|b|c", "5, a|b|c", "6, ab|c", "9, ab|c", "10, ab|c", "11, ab|c", "12, abc"})
  void aShardHoldsWhatFits(long shardBytes, String expected) throws IOException {
    Map<String, long[]> shapes =
        Map.of("a", new long[] {1}, "b", new long[] {2}, "c", new long[] {3});
    ShardedWriter.Result result =
        SyntheticCheckpoint.write(folder, shapes, StorageType.BF16, 1, shardBytes, (_, _, _) -> {});
    String[] shards = expected.split("\\|");
    assertThat(result.written()).isEqualTo(shards.length);
    for (int i = 0; i < shards.length; i++) {
      String name = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.length);
      try (Checkpoint shard = Checkpoints.open(folder.resolve(name))) {
        assertThat(String.join("", shard.names())).isEqualTo(shards[i]);
      }
    }
    assertThat(Files.readString(result.index())).contains("\"total_size\" : 12");
  }

  private static void assertRefused(
      Checkpoint source, Path folder, StorageType dtype, long shardBytes, String words) {
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> run(source, folder, dtype, shardBytes));
    assertThat(refusal).hasMessageContaining(words);
    Folders.assertOneLine(refusal, folder);
  }

  private static CheckpointImport.Result run(
      Checkpoint source, Path folder, StorageType dtype, long shardBytes) {
    return CheckpointImport.run(source, folder, dtype, shardBytes, (name, done, total) -> {});
  }

  private static byte[] bytes(TensorEntry entry) {
    return entry.bytes().toArray(ValueLayout.JAVA_BYTE);
  }
}
