package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Files written by PyTorch itself (see {@code tools/make_checkpoint_fixtures.py}), against the
 * values that the safetensors library wrote beside them.
 */
class TorchCheckpointTest {
  @ParameterizedTest
  @CsvSource({
    "dtypes, dtypes, 13",
    "dtypes_legacy, dtypes, 13",
    "views, views, 17",
    "views_legacy, views, 17",
    "module, module, 7",
    "module_legacy, module, 7",
    "small_protocol3, small, 2",
    "small_protocol4, small, 2",
    "small_protocol5, small, 2",
    "small_protocol3_legacy, small, 2",
    "small_protocol4_legacy, small, 2",
    "small_protocol5_legacy, small, 2",
    "small_no_checksums, small, 2",
    "attributed, attributed, 3",
    "wrapped, wrapped, 2",
    "wrapped_legacy, wrapped, 2",
    "training, training, 4"
  })
  void readsWhatPytorchWrote(String name, String expected, int count) {
    try (Checkpoint read = Checkpoints.open(TestFiles.fixture(name + ".pth"));
        Checkpoint truth = Checkpoints.open(TestFiles.fixture(expected + ".safetensors"))) {
      assertThat(read.names()).hasSize(count);
      assertSame(read, truth);
    }
  }

  @Test
  void readsShards() {
    try (Checkpoint folder = Checkpoints.open(TestFiles.fixture("sharded"));
        Checkpoint truth = Checkpoints.open(TestFiles.fixture("sharded.safetensors"))) {
      assertThat(folder.path()).hasFileName("pytorch_model.bin.index.json");
      assertSame(folder, truth);
    }
  }

  @Test
  void picksOneOfSeveralStateDicts() {
    try (Checkpoint all = Checkpoints.open(TestFiles.fixture("training.pth"))) {
      assertThat(all.names())
          .containsExactly(
              "model.w",
              "optimizer.state.0.exp_avg",
              "optimizer.state.0.exp_avg_sq",
              "optimizer.state.0.step");
      Checkpoint model = all.under("model");
      assertThat(model.names()).containsExactly("w");
      assertThat(model.entry("w").toString()).isEqualTo("'w' F32 [1, 2]");
      assertThat(model.find("model.w")).isEmpty();
      assertThat(all.under("optimizer.state").under("0").names())
          .containsExactly("exp_avg", "exp_avg_sq", "step");
      assertThat(catchThrowableOfType(UserException.class, () -> all.under("mod")))
          .hasMessageEndingWith(
              "training.pth: has no tensor below 'mod.'; its names begin with 'model',"
                  + " 'optimizer'");
    }
  }

  @Test
  void keepsRowMajorTensorsInTheFileAndCopiesOthers() {
    List<MemorySegment> kept;
    try (Checkpoint read = Checkpoints.open(TestFiles.fixture("views.pth"))) {
      assertThat(read.entry("whole").bytes().isMapped()).isTrue();
      assertThat(read.entry("offset").bytes().isMapped()).isTrue();
      assertThat(read.entry("odd.stride.of.one").bytes().isMapped()).isTrue();
      assertThat(read.entry("permuted").bytes().isMapped()).isFalse();
      kept = read.names().stream().map(n -> read.entry(n).bytes()).toList();
      assertThat(kept).allMatch(MemorySegment::isReadOnly);
    }
    assertThat(kept).noneMatch(bytes -> bytes.scope().isAlive());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "module | the pickle names torch.nn.modules.linear.Linear; refused",
        "namespace | the pickle names argparse.Namespace; refused",
        "numpy_scalar | the pickle names numpy._core.multiarray.scalar; refused",
        "complex | the pickle names torch.ComplexFloatStorage; refused",
        "float8 | the pickle names torch._utils._rebuild_tensor_v3; refused",
        "uint16 | the pickle names torch._utils._rebuild_tensor_v3; refused",
        "sparse | the pickle names torch._utils._rebuild_sparse_tensor; refused",
        "bare_tensor | holds one tensor without a name; expected a dict of tensors",
        "no_tensor | holds no tensor; expected a state_dict",
        "torchscript | is compressed (method 8); expected only stored entries"
      })
  void refusesByNameWhatIsNoStateDict(String name, String words) {
    Path file = TestFiles.fixture("refused/" + name + ".pth");
    UserException refusal =
        catchThrowableOfType(UserException.class, () -> Checkpoints.open(file).close());
    assertThat(refusal).hasMessageContaining(words);
    TestFiles.assertOneLine(refusal, file);
  }

  @Test
  void tellsTheFormatByContent(@TempDir Path folder) throws IOException {
    Files.copy(TestFiles.fixture("dtypes_legacy.pth"), folder.resolve("model.safetensors"));
    Files.copy(TestFiles.fixture("wrapped.pth"), folder.resolve("other.bin"));
    try (Checkpoint preferred = Checkpoints.open(folder);
        Checkpoint truth = Checkpoints.open(TestFiles.fixture("dtypes.safetensors"))) {
      assertSame(preferred, truth);
    }
  }

  private static void assertSame(Checkpoint read, Checkpoint truth) {
    assertThat(read.names()).isEqualTo(truth.names());
    for (String name : truth.names()) {
      TensorEntry entry = read.entry(name);
      TensorEntry expected = truth.entry(name);
      assertThat(entry.toString()).isEqualTo(expected.toString());
      assertThat(entry.bytes().toArray(ValueLayout.JAVA_BYTE))
          .as(name)
          .isEqualTo(expected.bytes().toArray(ValueLayout.JAVA_BYTE));
    }
    assertThat(Fingerprint.of(read)).isEqualTo(Fingerprint.of(truth));
  }
}
