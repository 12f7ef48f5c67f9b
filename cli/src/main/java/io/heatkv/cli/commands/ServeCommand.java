package io.heatkv.cli.commands;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.options.Defaults;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.OfferedModel;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.options.ServerChoices;
import io.heatkv.load.MemoryNeed;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.resource.Release;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.server.HeatKvServer;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Limits;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Serves a model over HTTP. */
@Command(
    name = "serve",
    description = {
      "Serves pictures over HTTP as OpenAI's clients ask for them, with a page to play with at /.",
      "Every option can also stand in the file of --config without its hyphens (port=8080), or in the"
          + " environment (HEATKV_SERVE_PORT=8080); the command line goes first, then the environment."
    },
    footer = {
      "  heatkv serve",
      "  heatkv serve --model models/infinity-2b --device cuda --kv-budget 2.5%% --kv-memory 4GiB",
      "  heatkv serve --host 0.0.0.0 --allow-host pictures.example --api-keys keys.txt",
    })
public final class ServeCommand implements Callable<Integer> {
  private static final String VARIABLES = "HEATKV_SERVE_";
  private static final int FAILED = 1;
  // All policies can be had under it.
  private static final String ANY = "0.99";

  private final Console console;

  @Spec private CommandSpec command = CommandSpec.create();

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "File with options, a line of NAME=VALUE each.")
  private @Nullable Path config;

  @Mixin private final ServerChoices server = new ServerChoices();

  @Option(
      names = "--kv-budget",
      paramLabel = "BUDGET",
      description =
          "Memory of the KV cache of requests that name none: a ratio of the full cache such as 0.1"
              + " or 10%%, or a size such as 4MiB for one picture with guidance. Default: the full"
              + " cache; policies, levels and profiles are then those of requests that name a"
              + " budget.")
  private @Nullable String budget;

  @Mixin private final PolicyOptions policies = new PolicyOptions();
  @Mixin private final ModelOptions model = new ModelOptions();

  public ServeCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    readDefaults();
    String policy = policies.usual();
    ServerOptions options = server.options(policy, Optional.ofNullable(budget));
    ModelChoice choice = model.chooseShared();
    GenerationRequest usual = usual(choice, policy);
    MemoryCheck.host(choice, usual);
    LibTorch library = choice.library();
    MemoryCheck.device(choice, library, usual);
    DevicePool pool = choice.load(library, Integer.MAX_VALUE);
    OfferedModel offered = new OfferedModel(choice, library, pool, policies);
    HeatKvServer started =
        HeatKvServer.start(
            offered,
            limits(choice, library, pool),
            options,
            Release.version(),
            line -> {
              console.err().println(line);
              console.err().flush();
            });
    // Everything that was accepted is drawn before the process ends, or cancelled.
    Interruption.atEnd(new Thread(started::close, "stop"));
    console.print(
        "heatkv serves %s at http://%s:%d"
            .formatted(offered.id(), shown(options.host()), started.port()));
    if (started.metricsPort() != 0) {
      console.print(
          "metrics at http://%s:%d/metrics"
              .formatted(shown(options.host()), started.metricsPort()));
    }
    if (server.isOpen(options)) {
      console.message(
          "warning: anyone who reaches %s may draw; --api-keys asks for keys"
              .formatted(options.host()));
    }
    Throwable problem = started.failure().join();
    console.message("no device can be used any more: " + problem + "; start again");
    return FAILED;
  }

  private static String shown(String host) {
    return host.contains(":") ? "[" + host + "]" : host;
  }

  /** Parses again with what the environment and the file say. */
  private void readDefaults() {
    String named = System.getenv(VARIABLES + "CONFIG");
    Optional<Path> file =
        Optional.ofNullable(config).or(() -> Optional.ofNullable(named).map(Path::of));
    List<String> arguments =
        new ArrayList<>(Defaults.arguments(command, VARIABLES, System.getenv(), file));
    if (!arguments.isEmpty()) {
      List<String> all = command.root().commandLine().getParseResult().originalArgs();
      arguments.addAll(all.subList(all.indexOf(command.name()) + 1, all.size()));
      var _ = command.commandLine().parseArgs(arguments.toArray(String[]::new));
    }
  }

  private GenerationRequest usual(ModelChoice choice, String policy) {
    return GenerationRequest.of(
        List.of(choice.description().example()),
        Optional.empty(),
        1,
        0,
        choice.description().grids(),
        choice.description().sampling(),
        usualPolicy(choice, policy));
  }

  private CachePolicy usualPolicy(ModelChoice choice, String policy) {
    ScaleGrids grids = choice.description().grids();
    if (budget != null) {
      return policies.policy(policy, choice, grids, Budget.parse(budget));
    }
    if (policies.areGiven()) {
      // Requests may have budgets: what can't be read is said now.
      var _ = policies.policy(policy, choice, grids, Budget.parse(ANY));
    }
    return CachePolicy.FULL;
  }

  /** Of each device: what the fullest of them has, or its share of this machine's memory. */
  private Limits limits(ModelChoice choice, LibTorch library, DevicePool pool) {
    int devices = pool.generators().size();
    long free =
        choice.device().isCuda()
            ? choice.devices(library).stream()
                .mapToLong(device -> library.memory(device).free())
                .min()
                .orElseThrow()
            : AvailableMemory.bytes() / devices;
    return server.limits(MemoryNeed.usable(choice.device(), free), devices);
  }
}
