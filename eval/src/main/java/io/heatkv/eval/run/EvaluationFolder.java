package io.heatkv.eval.run;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Where an evaluation lies: its settings, a file for each batch that is done, pictures, and in the
 * end tables and the page.
 *
 * @param root the folder
 */
public record EvaluationFolder(Path root) {
  /** What to do if there is an evaluation already. */
  public enum Existing {
    REFUSE,
    RESUME,
    OVERWRITE
  }

  /** The page that shows it all. */
  public static final String PAGE = "index.html";

  private static final String SETTINGS = "settings.json";
  private static final String BATCHES = "batches";
  private static final String IMAGES = "images";
  // Names of batches, pictures and files that are being written.
  private static final Pattern OWN =
      Pattern.compile("batch-\\d+\\.json|\\d+-seed\\d+-.+\\.png|\\.heatkv-.*");
  private static final List<String> RESULTS =
      List.of(PAGE, "results.csv", "summary.csv", "summary.json", "summary.md");

  /**
   * Makes the folder, or goes on in it.
   *
   * @param batches of the whole evaluation, for the message
   * @throws UserException if it can't be made, holds something else, or holds an evaluation that
   *     {@code existing} doesn't allow
   */
  public void open(EvaluationSettings settings, int batches, Existing existing) {
    try {
      Files.createDirectory(root);
    } catch (FileAlreadyExistsException e) {
      requireUsable(settings, batches, existing);
    } catch (NoSuchFileException e) {
      throw new UserException(
          "output " + root + ": the folder above does not exist; create it first", e);
    } catch (IOException e) {
      throw unwritable(e);
    }
    try {
      Files.createDirectories(root.resolve(BATCHES));
      Files.createDirectories(root.resolve(IMAGES));
    } catch (IOException e) {
      throw unwritable(e);
    }
    if (!Files.exists(root.resolve(SETTINGS))) {
      settings.write(root.resolve(SETTINGS));
    }
  }

  private void requireUsable(EvaluationSettings settings, int batches, Existing existing) {
    if (!Files.isDirectory(root)) {
      throw new UserException("output " + root + " is a file; name a folder");
    }
    // Asked first: another process of this evaluation may write its settings at any moment.
    if (isEmpty()) {
      return;
    }
    Path file = root.resolve(SETTINGS);
    // Another program may keep its settings under this name: what lies there isn't ours to remove.
    if (!Files.exists(file)
        || !EvaluationSettings.read(file).values().containsKey(EvaluationSettings.VERSION)) {
      throw new UserException(
          "output " + root + " holds other files and no evaluation; name a new or empty folder");
    }
    if (existing == Existing.OVERWRITE) {
      clear();
      return;
    }
    Optional<String> difference = EvaluationSettings.read(file).difference(settings);
    if (difference.isPresent()) {
      throw new UserException(
          "output %s holds an evaluation with other settings (%s); name another folder, or replace it"
              .formatted(root, difference.get()),
          Remedy.REPLACEMENT);
    }
    if (existing == Existing.REFUSE) {
      throw new UserException(
          "output %s holds this evaluation, %d of %d batches done; go on with it, or begin anew"
              .formatted(root, done(batches).size(), batches),
          Remedy.CONTINUATION);
    }
  }

  /** Whether there is nothing but what another process of this evaluation has just begun with. */
  private boolean isEmpty() {
    try (Stream<Path> files = Files.list(root)) {
      return files
          .map(file -> String.valueOf(file.getFileName()))
          .allMatch(
              name -> name.equals(BATCHES) || name.equals(IMAGES) || name.startsWith(".heatkv-"));
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  /** Removes what an evaluation writes and nothing else. */
  private void clear() {
    try {
      for (String folder : List.of(BATCHES, IMAGES)) {
        if (Files.isDirectory(root.resolve(folder))) {
          try (Stream<Path> files = Files.list(root.resolve(folder))) {
            for (Path file : files.filter(EvaluationFolder::isOwn).toList()) {
              Files.delete(file);
            }
          }
        }
      }
      for (String name : RESULTS) {
        Files.deleteIfExists(root.resolve(name));
      }
      Files.deleteIfExists(root.resolve(SETTINGS));
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private static boolean isOwn(Path file) {
    return OWN.matcher(String.valueOf(file.getFileName())).matches();
  }

  private UserException unwritable(IOException e) {
    return new UserException(
        "output " + root + " can't be written (" + e.getMessage() + "); choose another folder", e);
  }

  /** File of a batch's results. */
  public Path batch(int index) {
    return root.resolve(BATCHES).resolve("batch-%05d.json".formatted(index));
  }

  /** Numbers of the batches that are done. */
  public List<Integer> done(int batches) {
    List<Integer> done = new ArrayList<>();
    for (int i = 0; i < batches; i++) {
      if (Files.exists(batch(i))) {
        done.add(i);
      }
    }
    return done;
  }

  /** Results of all batches that are done, in their order. */
  public List<BatchResult> results(int batches) {
    return done(batches).stream().map(i -> BatchResult.read(batch(i))).toList();
  }

  /**
   * File of a picture.
   *
   * @param prompt its number from 0
   * @param policy that drew it, {@code full} for the full cache
   * @param budget empty for the full cache
   */
  public Path image(int prompt, long seed, String policy, String budget) {
    String cell = budget.isEmpty() ? policy : policy + "-" + budget.replace("%", "pct");
    return root.resolve(IMAGES)
        .resolve(
            "%05d-seed%d-%s.png".formatted(prompt + 1, seed, cell.replaceAll("[^\\w.-]", "_")));
  }

  /** A file of the results. */
  public Path file(String name) {
    return root.resolve(name);
  }
}
