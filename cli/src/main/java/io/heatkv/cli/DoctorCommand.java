package io.heatkv.cli;

import io.heatkv.load.ModelSource;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Says what this machine offers and what is wrong with it. */
@Command(
    name = "doctor",
    description = "Checks Java, libtorch, devices and the cache folder, and measures the speed.",
    footer = {"  heatkv doctor", "  heatkv doctor --libtorch path/to/torch/lib --json"})
final class DoctorCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private final LibraryOptions options = new LibraryOptions();

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  DoctorCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    List<String> problems = new ArrayList<>(JavaCheck.problems(Runtime.version()));
    LibTorchLocation location = options.location();
    LibTorch library = LibraryOpening.start(options).await(Device.CPU);
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("heatkv", Version.text());
    report.put("java", Runtime.version() + ", " + System.getProperty("java.vendor"));
    report.put("java_home", System.getProperty("java.home"));
    report.put(
        "libtorch", library.version() + (location.hasCuda() ? " with CUDA" : " for the CPU"));
    report.put("libtorch_folder", location.folder());
    report.put("libtorch_source", location.source());
    report.put("libtorch_abi", library.abi());
    report.put("blas", Hardware.blas());
    report.put("cpu", Hardware.cpu());
    report.put("cores", Runtime.getRuntime().availableProcessors());
    report.put("threads", library.threads());
    report.put("memory_free_bytes", AvailableMemory.bytes());
    List<String> devices = library.cudaDevices();
    report.put("cuda_devices", devices);
    report.put("operators_cpu", library.ops(Device.CPU).description());
    for (int i = 0; i < devices.size(); i++) {
      report.put("operators_cuda_" + i, library.ops(Device.cuda(i)).description());
    }
    Path cache = CacheFolder.locate();
    report.put("cache_folder", cache);
    report.put("cache_free_bytes", freeSpace(cache));
    List<String> damaged = new ArrayList<>(location.damaged());
    damaged.addAll(ModelSource.damaged());
    report.put("cache_damaged_files", damaged);
    if (!damaged.isEmpty()) {
      problems.add(
          "damaged files in the cache folder: "
              + String.join(", ", damaged)
              + "; delete "
              + cache
              + ", it is filled anew at the next start");
    }
    report.put("gflops_fp32", Hardware.gigaflops(library, Device.CPU, DType.F32));
    report.put("gflops_bf16", Hardware.gigaflops(library, Device.CPU, DType.BF16));
    report.put("problems", problems);
    console.print(json ? Json.pretty(report) : text(report));
    return damaged.isEmpty() ? 0 : 2;
  }

  /** Space left where the folder is or will be. */
  private static long freeSpace(Path folder) throws IOException {
    Path existing =
        Stream.iterate(folder, Objects::nonNull, Path::getParent)
            .filter(Files::exists)
            .findFirst()
            .orElseThrow();
    return Files.getFileStore(existing).getUsableSpace();
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
