package io.heatkv.tensor.libtorch;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.HostCheck;
import io.heatkv.resource.Release;
import io.heatkv.resource.ResourceFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where libtorch's files lie.
 *
 * @param folder with all files
 * @param source how it was chosen, for reports
 * @param files to open, in order
 */
public record LibTorchLocation(Path folder, String source, List<String> files) {
  /** Environment variable that names a libtorch folder. */
  public static final String VARIABLE = "HEATKV_LIBTORCH";

  /** System property that names a libtorch folder. */
  public static final String PROPERTY = "heatkv.libtorch";

  private static final String UNPACKED = "Maven Central natives";

  /**
   * The folder given, else the one that the property or the variable names, else the CPU natives
   * from the class path, unpacked below {@code cache}, by one thread at a time.
   *
   * @throws UserException if the folder lacks a file, or nothing is there
   */
  public static synchronized LibTorchLocation find(@Nullable Path option, Path cache) {
    NativePlatform platform = NativePlatform.current();
    HostCheck.require();
    if (option != null) {
      return inFolder(option, "option", platform);
    }
    String property = System.getProperty(PROPERTY, "");
    if (!property.isBlank()) {
      return inFolder(Path.of(property), "property " + PROPERTY, platform);
    }
    String variable = System.getenv(VARIABLE);
    if (variable != null && !variable.isBlank()) {
      return inFolder(Path.of(variable), "variable " + VARIABLE, platform);
    }
    ResourceFiles bundle = bundled(platform);
    if (!bundle.arePresent()) {
      throw new UserException(missing(platform));
    }
    CLibrary.require(platform);
    List<String> files = new ArrayList<>(platform.openblas());
    files.addAll(platform.pytorch());
    return new LibTorchLocation(bundle.unpack(cache), UNPACKED, files);
  }

  /** What to say where the class path has no natives. */
  static String missing(NativePlatform platform) {
    return platform.isServed()
        ? "no libtorch for %s on the class path; add %s, or name the folder of a libtorch with %s"
            .formatted(
                platform.classifier(),
                Release.dependency("heatkv-natives-" + platform.classifier(), "pom"),
                VARIABLE)
        : "Maven Central has no libtorch for %s; name the …/torch/lib of a PyTorch with %s"
            .formatted(platform.classifier(), VARIABLE);
  }

  /** The natives of the class path. */
  static ResourceFiles bundled(NativePlatform platform) {
    List<ResourceFiles.Item> items = new ArrayList<>();
    for (String file : platform.openblas()) {
      items.add(item("openblas", platform, file));
    }
    for (String file : platform.pytorch()) {
      items.add(item("pytorch", platform, file));
    }
    return new ResourceFiles("libtorch", LibTorchLocation.class, items);
  }

  private static ResourceFiles.Item item(String artifact, NativePlatform platform, String file) {
    return new ResourceFiles.Item(
        "org/bytedeco/" + artifact + "/" + platform.classifier() + "/" + file, file);
  }

  private static LibTorchLocation inFolder(Path folder, String source, NativePlatform platform) {
    if (!Files.isDirectory(folder)) {
      throw new UserException(
          "libtorch folder " + folder + " (" + source + ") is not a folder; name …/torch/lib");
    }
    if (!Files.isRegularFile(folder.resolve(platform.torchCpu()))) {
      String hint =
          Files.isRegularFile(folder.resolve("lib").resolve(platform.torchCpu()))
              ? "name its folder lib"
              : "name the folder lib of a PyTorch or libtorch";
      throw new UserException(
          "libtorch folder "
              + folder
              + " ("
              + source
              + ") has no "
              + platform.torchCpu()
              + "; "
              + hint);
    }
    // A copy of the unpacked natives has openblas's beside them, and systems may lack those.
    List<String> files =
        Stream.of(platform.openblas(), platform.pytorch(), platform.cuda())
            .flatMap(List::stream)
            .filter(file -> Files.isRegularFile(folder.resolve(file)))
            .toList();
    return new LibTorchLocation(folder.toAbsolutePath(), source, files);
  }

  /** Names of unpacked natives whose content is damaged; empty for a folder of the user's. */
  public List<String> damaged() throws java.io.IOException {
    return isUnpacked() ? bundled(NativePlatform.current()).damaged(folder) : List.of();
  }

  /** The environment variable that can name another folder for its files. */
  String variable() {
    return isUnpacked() ? CacheFolder.VARIABLE : VARIABLE;
  }

  private boolean isUnpacked() {
    return source.equals(UNPACKED);
  }

  /** Whether the folder holds a CUDA build. */
  public boolean hasCuda() {
    return files.containsAll(NativePlatform.current().cuda())
        && !NativePlatform.current().cuda().isEmpty();
  }
}
