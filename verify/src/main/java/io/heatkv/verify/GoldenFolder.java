package io.heatkv.verify;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.TensorException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Compares this engine with recorded outputs of the official code. */
public final class GoldenFolder {
  private static final int MOST_NAMED = 5;

  private GoldenFolder() {}

  /**
   * Runs every comparison that the files of a folder allow, in float32.
   *
   * @param folder with recorded files, a model with its own recording, or a folder of such folders
   * @param checks is given each result as it is known
   * @return files that took no part, since nothing here knows them
   * @throws UserException if there is nothing to compare, a file is damaged, or files don't fit
   *     each other
   */
  public static List<String> verify(
      Path folder, Backend backend, Device device, Consumer<Check> checks) {
    Map<String, List<String>> files = new LinkedHashMap<>();
    Set<String> known = new HashSet<>();
    boolean model = false;
    List<GoldenReader> readers = readers();
    for (Path part : withFolders(folder)) {
      String place = part.equals(folder) ? "" : part.getFileName().toString();
      files.put(place, new Golden(part, backend, device).all());
      for (GoldenReader reader : readers) {
        Golden golden = new Golden(part, backend, device);
        if (reader.isIn(golden)) {
          AtomicBoolean compared = new AtomicBoolean();
          verify(
              golden,
              reader,
              check -> {
                compared.set(true);
                checks.accept(check.prefixed(place.isEmpty() ? "" : place + ": "));
              });
          if (compared.get()) {
            known.addAll(golden.known());
            // All else in a model's folder is the model's.
            model |= reader.isModel();
          }
        }
      }
    }
    List<String> unknown = new ArrayList<>();
    files.forEach((place, names) ->
        names.stream()
            .filter(name -> !known.contains(name))
            .forEach(name -> unknown.add(place.isEmpty() ? name : place + "/" + name)));
    if (known.isEmpty()) {
      throw new UserException(
          folder
              + ": has nothing to compare with"
              + (unknown.isEmpty() ? "" : " (it knows none of " + few(unknown) + ")")
              + "; expected recorded files such as unit.safetensors or full_1.0.safetensors, or a"
              + " model whose model.json names a golden file");
    }
    return model ? List.of() : unknown;
  }

  private static List<GoldenReader> readers() {
    try {
      return ServiceLoader.load(GoldenReader.class).stream()
          .map(ServiceLoader.Provider::get)
          .toList();
    } catch (ServiceConfigurationError e) {
      throw new UserException("a reader of recorded files can't be loaded: " + e.getMessage(), e);
    }
  }

  /** Some names, and how many more there are. */
  public static String few(List<String> names) {
    int more = names.size() - MOST_NAMED;
    return String.join(", ", names.stream().limit(MOST_NAMED).toList())
        + (more > 0 ? " and " + more + " more" : "");
  }

  private static void verify(Golden golden, GoldenReader reader, Consumer<Check> checks) {
    try {
      reader.verify(golden, checks);
    } catch (TensorException e) {
      throw new UserException(
          golden.folder()
              + ": shapes in the recorded files don't fit each other ("
              + String.valueOf(e.getMessage()).lines().findFirst().orElse("")
              + ")",
          e);
    }
  }

  /** The folder, then those in it, by name. */
  private static List<Path> withFolders(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new UserException(folder + ": is not a folder; expected one with recorded files");
    }
    List<Path> all = new ArrayList<>(List.of(folder));
    try (Stream<Path> files = Files.list(folder)) {
      files.filter(Files::isDirectory).sorted().forEach(all::add);
    } catch (IOException e) {
      throw new UserException(folder + ": can't be listed (" + e + ")", e);
    }
    return all;
  }
}
