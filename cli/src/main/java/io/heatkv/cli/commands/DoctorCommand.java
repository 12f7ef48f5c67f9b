package io.heatkv.cli.commands;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Sizes;
import io.heatkv.cli.options.LibraryOpening;
import io.heatkv.cli.options.LibraryOptions;
import io.heatkv.cli.report.Hardware;
import io.heatkv.cli.report.JavaCheck;
import io.heatkv.cli.report.Json;
import io.heatkv.error.UserException;
import io.heatkv.eval.learned.MetricModel;
import io.heatkv.load.ModelSource;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.Release;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import io.heatkv.text.PromptTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Says what this machine offers and what is wrong with it. */
@Command(
    name = "doctor",
    description = "Checks Java, libtorch, devices and the cache folder, and measures the speed.",
    footer = {"  heatkv doctor", "  heatkv doctor --libtorch path/to/torch/lib --json"})
public final class DoctorCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private final LibraryOptions options = new LibraryOptions();

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  public DoctorCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    List<String> problems = new ArrayList<>(JavaCheck.problems(Runtime.version()));
    List<String> faults = new ArrayList<>();
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("heatkv", Release.version());
    report.put("java", Runtime.version() + ", " + System.getProperty("java.vendor"));
    report.put("java_home", System.getProperty("java.home"));
    report.put("cpu", Hardware.cpu());
    report.put("cores", Runtime.getRuntime().availableProcessors());
    report.put("memory_free_bytes", AvailableMemory.bytes());
    tell(report, faults, "cache_folder", () -> CacheFolder.secure(CacheFolder.locate()));
    if (report.get("cache_folder") instanceof Path cache) {
      report.put("cache_free_bytes", cache.toFile().getUsableSpace());
      // A folder that was named and holds no libtorch is a wrong option, nothing to report.
      LibTorchLocation location = options.location();
      report.put("cache_damaged_files", damaged(location, faults));
      tell(report, faults, "tokenizer_folder", PromptTokenizer::loadNatives);
      tell(report, faults, "onnxruntime_folder", MetricModel::loadNatives);
      tell(report, faults, "libtorch", () -> describe(location, report));
    }
    problems.addAll(faults);
    report.put("problems", problems);
    console.print(json ? Json.pretty(report) : text(report));
    return faults.isEmpty() ? 0 : 2;
  }

  /** Adds what is found out, or what is wrong. */
  private static void tell(
      Map<String, Object> report, List<String> faults, String key, Callable<?> find)
      throws IOException {
    try {
      report.put(key, find.call());
    } catch (UserException e) {
      faults.add(String.valueOf(e.getMessage()));
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** Files that aren't what they were unpacked from. */
  private static List<String> damaged(LibTorchLocation location, List<String> faults)
      throws IOException {
    List<String> damaged = new ArrayList<>(location.damaged());
    damaged.addAll(ModelSource.damaged());
    if (!damaged.isEmpty()) {
      faults.add(
          "damaged files in the cache folder: "
              + String.join(", ", damaged)
              + "; delete "
              + CacheFolder.locate()
              + ", it is filled anew at the next start");
    }
    return damaged;
  }

  /** libtorch's version, and in the report what it offers. */
  private String describe(LibTorchLocation location, Map<String, Object> report)
      throws IOException {
    LibTorch library =
        LibraryOpening.start(location, options.threads(), List.of()).await(List.of(Device.CPU));
    report.put("libtorch_folder", location.folder());
    report.put("libtorch_source", location.source());
    report.put("libtorch_abi", library.abi());
    report.put("threads", library.threads());
    report.put("blas", Hardware.blas());
    List<String> devices = library.cudaDevices();
    report.put("cuda_devices", devices);
    report.put("operators_cpu", library.ops(Device.CPU).description());
    for (int i = 0; i < devices.size(); i++) {
      report.put("operators_cuda_" + i, library.ops(Device.cuda(i)).description());
    }
    report.put("gflops_fp32", Hardware.gigaflops(library, Device.CPU, DType.F32));
    report.put("gflops_bf16", Hardware.gigaflops(library, Device.CPU, DType.BF16));
    return library.version() + (location.hasCuda() ? " with CUDA" : " for the CPU");
  }

  private static String text(Map<String, Object> report) {
    List<String> lines = new ArrayList<>();
    report.forEach((key, value) -> {
      String name = key.replace("_bytes", "").replace('_', ' ');
      if (!(value instanceof List<?> items)) {
        boolean size = key.endsWith("_bytes") && value instanceof Long;
        lines.add("%-20s %s".formatted(name, size ? Sizes.text((Long) value) : value));
      } else if (items.isEmpty()) {
        lines.add("%-20s none".formatted(name));
      } else {
        items.forEach(item -> lines.add("%-20s %s".formatted(name, item)));
      }
    });
    return String.join("\n", lines);
  }
}
