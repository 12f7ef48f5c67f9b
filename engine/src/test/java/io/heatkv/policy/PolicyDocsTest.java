package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PolicyCases;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.example.Checkerboard;
import org.junit.jupiter.api.Test;

/** The page on policies says what there is, and its example works. */
class PolicyDocsTest {
  private static final Path PAGE = Path.of("..", "docs", "policies.md");
  private static final Path EXAMPLE =
      Path.of("src", "test", "java", "org", "example", "Checkerboard.java");

  @Test
  void theExampleIsTheSourceThatIsTested() throws IOException {
    String page = Files.readString(PAGE);
    int start = page.indexOf("```java\npackage") + "```java\n".length();
    String block = page.substring(start, page.indexOf("```", start));
    assertThat(block).isEqualTo(Files.readString(EXAMPLE));
    assertThat(block.lines().count()).isLessThanOrEqualTo(50);
  }

  @Test
  void theTableHasEveryPolicy() throws IOException {
    assertThat(Files.readString(PAGE).lines().filter(line -> line.startsWith("| `")))
        .extracting(line -> line.substring(3, line.indexOf('`', 3)))
        .containsExactlyElementsOf(CachePolicies.names());
  }

  @Test
  void theExampleKeepsBlackFields() {
    KvShape shape = PolicyCases.shape(1, 1, 1, ScaleGrids.parse("1x1,2x2,3x3,4x4,5x5"));
    EvictionPolicy policy =
        new EvictionPolicy("checkerboard", new Checkerboard(), 6.5 / 30, KvStorage.NATIVE);
    try (KvCache cache = PolicyCases.open(policy, shape)) {
      for (int t = 0; t <= 3; t++) {
        int tokens = shape.grids().tokens(t);
        try (Scope _ = Scope.open()) {
          Tensor any = PolicyCases.tensor(new float[tokens * shape.headDim()], shape, tokens);
          cache.attend(0, t, any, any, any);
        }
      }
      // Black fields of 4x4 are 0 2 5 7 8 10 13 15; the scale begins at token 14.
      assertThat(PolicyCases.tokens(cache, 0, 0, 0)).containsExactly(0, 21, 22, 24, 27, 29);
    }
    assertThat(policy.plan(shape).bytes()).isEqualTo(6 * shape.bytesPerHeadToken());
  }
}
