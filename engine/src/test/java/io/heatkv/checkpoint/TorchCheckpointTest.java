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
    "training, training, 4",
    "plain, plain, 2",
    "plain_legacy, plain, 2",
    "plain_protocol5, plain, 2"
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

  /** What PyTorch itself said of each tensor when it wrote the file. */
  @Test
  void listsTensorsThatItCannotComputeWith() {
    try (Checkpoint read = Checkpoints.open(TestFiles.fixture("others.pth"))) {
      assertThat(read.names().stream().map(read::entry).map(TensorEntry::toString))
          .containsExactly(
              "'complex.transposed' C128 [3, 2]",
              "'complex128' C128 [2, 3]",
              "'complex64' C64 [2, 3]",
              "'conjugate' OPAQUE [2, 3]",
              "'csr' OPAQUE [2, 3]",
              "'float8.row' F8_E5M2 [3]",
              "'float8_e4m3fn' F8_E4M3 [2, 3]",
              "'float8_e4m3fnuz' F8_E4M3FNUZ [2, 3]",
              "'float8_e5m2' F8_E5M2 [2, 3]",
              "'float8_e5m2fnuz' F8_E5M2FNUZ [2, 3]",
              "'float8_e8m0fnu' F8_E8M0 [2, 3]",
              "'meta' OPAQUE [2, 3]",
              "'negated' OPAQUE [2, 3]",
              "'nested' OPAQUE []",
              "'parameter' C64 [2, 3]",
              "'quantised' OPAQUE [2, 3]",
              "'quantised.by.channel' OPAQUE [2, 3]",
              "'sparse' OPAQUE [2, 3]",
              "'uint16' U16 [2, 3]",
              "'uint32' U32 [2, 3]",
              "'uint64' U64 [2, 3]",
              "'w' F32 [2, 3]");
      assertThat(read.entry("uint16").bytes().toArray(ValueLayout.JAVA_BYTE))
          .containsExactly(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0);
      assertThat(read.entry("float8.row").bytes().byteSize()).isEqualTo(3);
      // Of 0 1 2 / 3 4 5, the second column begins with 1 and its second row holds 4, as doubles.
      assertThat(
              read.entry("complex.transposed").bytes().toArray(ValueLayout.JAVA_DOUBLE_UNALIGNED))
          .containsExactly(0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5, 0);
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
