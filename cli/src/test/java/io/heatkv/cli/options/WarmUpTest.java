package io.heatkv.cli.options;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** Options that are read before the parser is there: as it reads them. */
class WarmUpTest {
  @ParameterizedTest
  @CsvSource({
    "generate a cat --device cuda:1 -q, cuda:1",
    "generate --device=cuda a, cuda",
    "generate --device cpu --threads 3, cpu",
    "generate --devices cuda a, ",
    "generate a cat, ",
    "generate a --device, "
  })
  void theDeviceIsTheParsers(String line, String expected) {
    List<String> arguments = List.of(line.split(" "));
    assertThat(WarmUp.value("--device", arguments)).isEqualTo(Optional.ofNullable(expected));
    if (expected != null) {
      DeviceOptions options = new DeviceOptions();
      WarmUp.strict(new CommandLine(options))
          .setUnmatchedArgumentsAllowed(true)
          .parseArgs(arguments.toArray(String[]::new));
      assertThat(options.devices().first().toString())
          .isEqualTo(expected.equals("cuda") ? "cuda:0" : expected);
    }
  }
}
