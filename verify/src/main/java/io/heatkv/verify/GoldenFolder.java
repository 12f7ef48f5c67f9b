package io.heatkv.verify;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.TensorException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Compares this engine with recorded outputs of the official code. */
public final class GoldenFolder {
  private static final List<GoldenGroup> GROUPS =
      List.of(
          new GoldenUnits(),
          new GoldenT5(),
          new GoldenVae(),
          new GoldenRuns(),
          new GoldenPrunedRuns(),
          new GoldenScores(),
          new GoldenSchedules(),
          new GoldenModel());

  private GoldenFolder() {}

  /**
   * Runs every comparison that the files of a folder allow, in float32.
   *
   * @param folder with recorded files, a model with its own recording, or a folder of such folders
   * @param checks is given each result as it is known
   * @throws UserException if there is nothing to compare, a file is damaged, or files don't fit
   *     each other
   */
  public static void verify(Path folder, Backend backend, Device device, Consumer<Check> checks) {
    boolean any = false;
    for (Path part : withFolders(folder)) {
      Golden golden = new Golden(part, backend, device);
      for (GoldenGroup group : GROUPS) {
        if (group.isIn(golden)) {
          any = true;
          String prefix = part.equals(folder) ? "" : part.getFileName() + ": ";
          verify(golden, group, check -> checks.accept(check.prefixed(prefix)));
        }
      }
    }
    if (!any) {
      throw new UserException(
          folder
              + ": has nothing to compare with; expected recorded files such as unit.safetensors or"
              + " full_1.0.safetensors, or a model whose model.json names a golden file");
    }
  }

  private static void verify(Golden golden, GoldenGroup group, Consumer<Check> checks) {
    try {
      group.verify(golden, checks);
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
