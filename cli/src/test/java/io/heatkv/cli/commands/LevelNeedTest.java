package io.heatkv.cli.commands;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.load.RandomModel;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class LevelNeedTest {
  // The libraries' own on that card.
  private static final long LIBRARIES = 250;

  private static <T> T defaults(T options) {
    return CommandLine.populateCommand(options);
  }

  /** MiB that an H100's driver told over an idle process, libtorch 2.11: docs/performance.md. */
  @ParameterizedTest
  @CsvSource({
    "1, 10%, 5364",
    "1, 2.5%, 5098",
    "4, 10%, 7518",
    "4, 2.5%, 6538",
    "96, 5%, 58138",
  })
  void theNeedOfLevelsIsWhatTheDriverTold(int pictures, String budget, long measured) {
    SyntheticBench bench =
        new SyntheticBench(
            defaults(new ModelOptions()),
            defaults(new ScaleOptions()),
            defaults(new PolicyOptions()),
            1,
            false,
            false);
    RandomModel sizes = SyntheticBench.sizes("infinity-2b");
    KvShape shape = sizes.kvShape(pictures, 2, DType.BF16, sizes.grids());
    CachePolicy policy =
        bench.policy("heatkv", sizes.kvShape(DType.BF16, sizes.grids()), Budget.parse(budget));
    long need = sizes.transformerNeed(shape, policy, Device.cuda(0)).total() >> 20;
    assertThat(need + LIBRARIES).isCloseTo(measured, Percentage.withPercentage(1));
  }
}
