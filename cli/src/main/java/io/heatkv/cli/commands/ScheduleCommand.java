package io.heatkv.cli.commands;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Outputs;
import io.heatkv.cli.options.AllocationOption;
import io.heatkv.cli.options.ModelName;
import io.heatkv.cli.options.ProfileOption;
import io.heatkv.cli.options.ProfileSchedule;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonFile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.OrdersFile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleReport;
import io.heatkv.schedule.ScheduleShape;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Builds the static schedule of a budget. */
@Command(
    name = "schedule",
    description = {
      "Builds the static schedule of a memory budget: which heads lose which scales, and when.",
      "It is made from a calibration profile, or from bare head orders with --orders, --layers,"
          + " --heads and --scales. Nothing is drawn and libtorch isn't loaded."
    },
    footer = {
      "  heatkv schedule --budget 0.1",
      "  heatkv schedule --profile emoji.heatkv.json --budget 4MiB -o emoji.schedule.json",
      "  heatkv schedule --orders orders.json --layers 32 --heads 16 --scales 1M --budget 0.07",
      "",
      "A budget counts 2 bytes a number in any type; one in bytes is that of keys and values",
      "of one picture with guidance: two rows of the model's head dimension."
    })
public final class ScheduleCommand implements Callable<Integer> {
  private final Console console;

  @Option(
      names = "--budget",
      required = true,
      paramLabel = "BUDGET",
      description =
          "Memory of the KV cache: a ratio of the full cache such as 0.1 or 10%%, or a size such"
              + " as 256MiB (see below).")
  private String budget = "";

  @Mixin private final AllocationOption allocation = new AllocationOption();
  @Mixin private final ProfileOption profile = new ProfileOption();
  @Mixin private final ModelName model = new ModelName();

  @Option(
      names = "--orders",
      paramLabel = "FILE",
      description =
          "JSON list with one list of [head, layer] pairs, least needed first, for each scale from"
              + " the first after the sink scales to the last but one; or a profile.")
  private @Nullable Path orders;

  @Option(names = "--layers", paramLabel = "N", description = "With --orders: layers.")
  private @Nullable Integer layers;

  @Option(names = "--heads", paramLabel = "N", description = "With --orders: heads of a layer.")
  private @Nullable Integer heads;

  @Option(
      names = "--sink-scales",
      paramLabel = "N",
      description = "With --orders: first scales, which are never removed. Default: 3.")
  private @Nullable Integer sinkScales;

  @Mixin private final ScaleOptions scales = new ScaleOptions();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Also write the schedule as canonical JSON.")
  private @Nullable Path output;

  @Option(
      names = "--canonical",
      description = "Print the canonical JSON, whose SHA-256 tells schedules apart; nothing else.")
  private boolean canonical;

  @Option(names = "--json", description = "Print the report as JSON.")
  private boolean json;

  public ScheduleCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (json && canonical) {
      throw new UserException("--json and --canonical contradict each other; leave out one");
    }
    if (output != null) {
      Outputs.requireFile(output, "schedule.json");
      Outputs.requireWritable(output, 0);
    }
    Budget parsed = Budget.parse(budget);
    CacheSchedule schedule = orders != null ? ofOrders(orders, parsed) : ofProfile(parsed);
    if (output != null) {
      JsonFile.write(output, schedule.canonicalJson());
    }
    ScheduleReport report = ScheduleReport.of(schedule);
    if (canonical) {
      console.printExactly(schedule.canonicalJson());
    } else {
      console.print((json ? report.json() : report.text()).stripTrailing());
    }
    return 0;
  }

  private PruningSchedule ofOrders(Path file, Budget parsed) {
    if (profile.path().isPresent() || model.isGiven()) {
      throw new UserException("--orders stands for itself; leave out --profile and --model");
    }
    if (allocation.rule().orElse(Allocation.PAPER) != Allocation.PAPER) {
      throw new UserException(
          "--orders says nothing but the order of heads, which serves --allocation paper only;"
              + " leave out --allocation or name a profile");
    }
    if (allocation.areLevelsGiven()) {
      throw new UserException("--levels serves a profile only; leave it out with --orders");
    }
    if (layers == null || heads == null || !scales.areGiven()) {
      throw new UserException(
          "--orders says nothing about sizes; add --layers, --heads and --scales");
    }
    if (!(parsed instanceof Budget.Ratio(double ratio))) {
      throw new UserException(
          "budget "
              + budget
              + " is a size, which --orders can't tell; expected a ratio such as 0.1");
    }
    ScheduleShape shape =
        ScheduleShape.of(layers, heads, scales.named(), sinkScales == null ? 3 : sinkScales);
    return PruningSchedule.of(
        shape,
        OrdersFile.read(file, layers, heads, shape.firstSource(), shape.lastSource()),
        ratio);
  }

  private CacheSchedule ofProfile(Budget parsed) {
    if (layers != null || heads != null || sinkScales != null) {
      throw new UserException(
          "a profile says its own layers, heads and sink scales; leave them out or add --orders");
    }
    try (ProfileSchedule source = new ProfileSchedule(profile, model)) {
      CalibrationProfile found = source.profile();
      ScaleGrids own = found.setup().grids();
      if (scales.areGiven() && !scales.named().equals(own)) {
        throw new UserException(
            "the profile is of scales %s, but scales %s are asked for; calibrate with these scales"
                .formatted(own, scales.named()));
      }
      return source.schedule(found, parsed, allocation);
    }
  }
}
