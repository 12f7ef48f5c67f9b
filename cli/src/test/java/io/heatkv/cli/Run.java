package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cli.console.Console;
import io.heatkv.json.JsonObject;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Map;

/**
 * A command that ran in this process.
 *
 * @param status its exit status
 * @param out what it printed
 * @param err its messages
 */
record Run(int status, String out, String err) {
  static Run of(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status =
        HeatKv.run(new Console(new PrintWriter(out), new PrintWriter(err), false), arguments);
    return new Run(status, out.toString(), err.toString());
  }

  /** A profile of the embedded model at few scales, by one prompt and one sink scale. */
  static Path calibrated(Path folder, String scales) {
    Path profile = folder.resolve("small.heatkv.json");
    Run run =
        of(
            "calibrate",
            "a green tree",
            "--scales",
            scales,
            "--sink-scales",
            "1",
            "--threads",
            "1",
            "--quiet",
            "-o",
            profile.toString());
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return profile;
  }

  /** What it printed with --json. */
  JsonObject json() {
    return JsonObject.parse(Path.of("standard output"), out);
  }

  /** An object of a list that it printed with --json. */
  @SuppressWarnings("unchecked")
  JsonObject item(String key, int index) {
    JsonObject json = json();
    return new JsonObject(json.source(), "", (Map<String, Object>) json.list(key).get(index));
  }

  /** It did nothing but say one line that has these words. */
  void assertRefused(String expected) {
    assertThat(err).contains(expected).startsWith("heatkv: ").endsWith("\n").hasLineCount(1);
    assertThat(out).isEmpty();
    assertThat(status).isEqualTo(2);
  }
}
