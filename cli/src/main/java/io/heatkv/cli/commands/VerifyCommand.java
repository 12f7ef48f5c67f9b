package io.heatkv.cli.commands;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.options.DeviceOptions;
import io.heatkv.cli.report.Json;
import io.heatkv.load.ModelSource;
import io.heatkv.tensor.Device;
import io.heatkv.verify.Check;
import io.heatkv.verify.GoldenFolder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Compares this build, libtorch and device with recordings of the official code. */
@Command(
    name = "verify",
    description = {
      "Compares with recordings of the official code.",
      "Ends with status 1 if something differs by more than its tolerance."
    },
    footer = {
      "  heatkv verify emoji",
      "  heatkv verify path/to/golden-folder",
      "  heatkv verify emoji --device cuda --json"
    })
public final class VerifyCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(
      paramLabel = "FOLDER",
      description =
          "Folder with recorded files, a model with its own recording, emoji or emoji-512.")
  private String name = "";

  @Mixin private final DeviceOptions options = new DeviceOptions();

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  public VerifyCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    Device device = options.device();
    Path folder = ModelSource.isEmbedded(name) ? ModelSource.find(name).folder() : Path.of(name);
    List<Check> checks = new ArrayList<>();
    List<String> unknown =
        GoldenFolder.verify(
            folder,
            options.open(),
            device,
            check -> {
              checks.add(check);
              if (!json) {
                console.print(line(check));
              }
            });
    if (!unknown.isEmpty()) {
      console.message(
          "left aside: files that it doesn't know (%s)".formatted(GoldenFolder.few(unknown)));
    }
    long failed = checks.stream().filter(check -> !check.passed()).count();
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("passed", failed == 0);
      report.put("checks", checks.stream().map(VerifyCommand::toJson).toList());
      console.print(Json.pretty(report));
    } else {
      console.print((checks.size() - failed) + " of " + checks.size() + " comparisons agree");
    }
    return failed == 0 ? 0 : 1;
  }

  private static String line(Check check) {
    return "%s %s: %d values, largest error %.3g of %.3g allowed, %d that must be equal differ"
        .formatted(
            check.passed() ? "ok    " : "FAILED",
            check.name(),
            check.compared(),
            check.largestError(),
            check.tolerance(),
            check.differing());
  }

  private static Map<String, Object> toJson(Check check) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", check.name());
    json.put("passed", check.passed());
    json.put("largest_error", check.largestError());
    json.put("tolerance", check.tolerance());
    json.put("differing", check.differing());
    json.put("compared", check.compared());
    return json;
  }
}
