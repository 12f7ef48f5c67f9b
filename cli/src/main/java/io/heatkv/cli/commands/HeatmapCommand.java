package io.heatkv.cli.commands;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Outputs;
import io.heatkv.cli.options.AllocationOption;
import io.heatkv.cli.options.ModelName;
import io.heatkv.cli.options.ProfileOption;
import io.heatkv.cli.options.ProfileSchedule;
import io.heatkv.error.UserException;
import io.heatkv.eval.chart.HeatMap;
import io.heatkv.image.Png;
import io.heatkv.json.JsonFile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CacheSchedule;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Draws a calibration, and the schedule made from it. */
@Command(
    name = "heatmap",
    description = {
      "Draws which heads attend to which scale, as a calibration measured it: a panel of layers and"
          + " heads for each source scale, S-CAS as colour.",
      "With --budget, also what every later scale still finds in the cache. libtorch isn't loaded."
    },
    footer = {
      "  heatkv heatmap -o heat.png",
      "  heatkv heatmap --profile emoji.heatkv.json --budget 0.1 -o heat.svg"
    })
public final class HeatmapCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private final ProfileOption profile = new ProfileOption();
  @Mixin private final ModelName model = new ModelName();
  @Mixin private final AllocationOption allocation = new AllocationOption();

  @Option(
      names = "--budget",
      paramLabel = "BUDGET",
      description =
          "Show the schedule of this budget over the scores: a ratio of the full cache such as 0.1"
              + " or 10%%, or a size such as 4MiB.")
  private @Nullable String budget;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "FILE",
      description = "The chart: NAME.png or NAME.svg.")
  private Path output = Path.of("");

  public HeatmapCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    boolean vector = isVector();
    Outputs.requireFile(output, "heat.png");
    Outputs.requireWritable(output, 0);
    Optional<Budget> parsed = Optional.ofNullable(budget).map(Budget::parse);
    HeatMap map;
    try (ProfileSchedule source = new ProfileSchedule(profile, model)) {
      CalibrationProfile found = source.profile();
      Optional<CacheSchedule> schedule =
          parsed.map(given -> source.schedule(found, given, allocation));
      map = new HeatMap(source.name(), found, schedule);
    }
    if (vector) {
      JsonFile.write(output, map.svg());
    } else {
      Png.write(output, map.png(), List.of());
    }
    console.print("wrote " + output);
    return 0;
  }

  private boolean isVector() {
    String name = Objects.toString(output.getFileName(), "").toLowerCase(Locale.ROOT);
    if (!name.matches(".+\\.(png|svg)")) {
      throw new UserException(
          "output " + output + " is no name of a chart; expected NAME.png or NAME.svg");
    }
    return name.endsWith("svg");
  }
}
