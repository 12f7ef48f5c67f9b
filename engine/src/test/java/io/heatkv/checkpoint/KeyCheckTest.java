package io.heatkv.checkpoint;

import static io.heatkv.checkpoint.TestFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class KeyCheckTest {
  private final Path file = golden("tiny_text.safetensors");
  private final Checkpoint checkpoint = Safetensors.open(file);
  private final Map<String, long[]> expected =
      new HashMap<>(
          Map.of(
              "text_features.0", new long[] {11, 256},
              "text_features.1", new long[] {7, 256},
              "text_features.2", new long[] {16, 256}));

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void acceptsExactlyTheExpected() {
    KeyCheck check = KeyCheck.compare(checkpoint, expected);
    assertThatCode(check::requireExact).doesNotThrowAnyException();
    assertThatCode(check::requirePresent).doesNotThrowAnyException();
  }

  @Test
  void namesAllThreeKindsOfDifference() {
    expected.remove("text_features.0");
    expected.put("text_features.1", new long[] {7, 512});
    expected.put("lost", new long[] {3});
    KeyCheck check = KeyCheck.compare(checkpoint, expected);
    assertThat(check.missing()).containsExactly("'lost' [3]");
    assertThat(check.unexpected()).containsExactly("'text_features.0' [11, 256]");
    assertThat(check.mismatched())
        .containsExactly("'text_features.1' [7, 256] instead of [7, 512]");
    UserException refusal = catchThrowableOfType(UserException.class, check::requireExact);
    assertThat(refusal)
        .hasMessageContaining(
            "missing 'lost' [3]; unexpected 'text_features.0' [11, 256]; in another shape"
                + " 'text_features.1' [7, 256] instead of [7, 512]; check that");
    TestFiles.assertOneLine(refusal, file);
    assertThat(catchThrowableOfType(UserException.class, check::requirePresent))
        .hasMessageContaining("missing 'lost' [3]; in another shape");
  }

  @Test
  void unexpectedTensorsMayPass() {
    expected.remove("text_features.2");
    KeyCheck check = KeyCheck.compare(checkpoint, expected);
    assertThatCode(check::requirePresent).doesNotThrowAnyException();
    assertThat(catchThrowableOfType(UserException.class, check::requireExact))
        .hasMessageContaining("unexpected 'text_features.2' [16, 256]");
  }

  @Test
  void listsOnlyAHandful() {
    for (int i = 10; i < 50; i++) {
      expected.put("lost." + i, new long[] {i});
    }
    KeyCheck check = KeyCheck.compare(checkpoint, expected);
    assertThat(check.missing()).hasSize(40);
    assertThat(catchThrowableOfType(UserException.class, check::requireExact))
        .hasMessageContaining("missing 'lost.10' [10], 'lost.11' [11], 'lost.12' [12]")
        .hasMessageContaining("'lost.14' [14] and 35 more;");
  }

  /** What a part leaves out isn't found in it, though the file has it. */
  @Test
  void aPartHoldsItsOwnNamesOnly() {
    Checkpoint others = checkpoint.without(Set.of("text_features.1", "none"));
    assertThat(others.names()).containsExactly("text_features.0", "text_features.2");
    assertThat(others.find("text_features.1")).isEmpty();
    assertThat(others.entry("text_features.2").shape()).containsExactly(16, 256);
    assertThat(checkpoint.without(Set.of("none"))).isSameAs(checkpoint);
    Checkpoint below = checkpoint.under("text_features");
    assertThat(below.names()).containsExactly("0", "1", "2");
    assertThat(below.entry("1").name()).isEqualTo("1");
    assertThat(below.entry("1").shape()).containsExactly(7, 256);
    assertThat(below.find("text_features.1")).isEmpty();
    assertThat(below.without(Set.of("1")).find("1")).isEmpty();
    assertThat(catchThrowableOfType(UserException.class, () -> checkpoint.under("text")))
        .hasMessageContaining("has no tensor below 'text.'; its names begin with 'text_features'");
    assertThat(catchThrowableOfType(UserException.class, () -> below.entry("3")))
        .hasMessageContaining("3");
  }
}
