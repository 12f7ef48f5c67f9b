package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the sources of kernels have to hold for {@link LaunchConfig}. */
class KernelSourcesTest {
  private static final Pattern KERNEL =
      Pattern.compile("__global__[^{]*\\b(\\w+)\\([^{;]*\\) \\{\\s*([^;]*;)");

  /** A kernel that doesn't wait first reads what the one before it may not have written yet. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "attention.cu",
        "blocks.cu",
        "encode.cu",
        "float.cu",
        "levels.cu",
        "maps.cu",
        "sums.cu",
        "wide.cu"
      })
  void kernelsWaitForEarlierOnes(String file) throws IOException {
    try (InputStream stream = KernelSourcesTest.class.getResourceAsStream(file)) {
      String source = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
      Matcher kernels = KERNEL.matcher(source);
      int found = 0;
      for (; kernels.find(); found++) {
        assertThat(kernels.group(2)).as(kernels.group(1)).isEqualTo("awaitEarlier();");
      }
      assertThat(found).isPositive().isEqualTo(source.split("__global__", -1).length - 1);
    }
  }
}
