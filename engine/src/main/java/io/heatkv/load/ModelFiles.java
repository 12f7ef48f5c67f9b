package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** Looks for networks in files and folders; what a file is, its content tells, not its name. */
final class ModelFiles {
  private static final int DEEPEST = 5;
  private static final int MOST_ENTRIES = 20_000;
  private static final String INDEX = ".index.json";
  private static final String SAFETENSORS = ".safetensors";

  private final Set<Candidate> candidates = new LinkedHashSet<>();
  private final List<UserException> problems = new ArrayList<>();
  private final Set<Path> seen = new HashSet<>();
  private int entries;

  /**
   * A network that was found.
   *
   * @param path file or index that holds it
   */
  record Candidate(Network network, Path path) {}

  private ModelFiles() {}

  /**
   * Looks into files, and into folders down to a bounded depth.
   *
   * @throws UserException if a named file is unsound, or a folder holds too many files
   */
  static ModelFiles scan(List<Path> sources) {
    ModelFiles files = new ModelFiles();
    for (Path source : sources) {
      if (Files.isDirectory(source)) {
        files.walk(source, 0);
      } else {
        files.open(source);
      }
    }
    return files;
  }

  static boolean isIndex(Path file) {
    return file.toString().endsWith(INDEX);
  }

  /** Networks of one kind, in the order in which they were found. */
  List<Path> of(Network network) {
    return candidates.stream().filter(c -> c.network == network).map(Candidate::path).toList();
  }

  /** Files that look like a model's but can't be read. */
  List<UserException> problems() {
    return problems;
  }

  private void walk(Path folder, int depth) {
    if (HubCache.isRepository(folder)) {
      HubCache.snapshot(folder, problems).ifPresent(snapshot -> walk(snapshot, depth + 1));
      return;
    }
    List<Path> children = children(folder);
    entries += children.size();
    if (entries > MOST_ENTRIES) {
      throw new UserException(
          folder + ": more than " + MOST_ENTRIES + " files; name a folder with one model");
    }
    readFolder(children.stream().filter(Files::isRegularFile).toList());
    for (Path child : children) {
      if (depth < DEEPEST && Files.isDirectory(child)) {
        walk(child, depth + 1);
      }
    }
  }

  /** Visible entries, sorted. */
  private static List<Path> children(Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(p -> !p.getFileName().toString().startsWith(".")).sorted().toList();
    } catch (IOException e) {
      throw new UserException(folder + ": can't be read: " + e.getMessage(), e);
    }
  }

  private void readFolder(List<Path> files) {
    Set<String> shards = new HashSet<>();
    List<Path> whole = new ArrayList<>();
    for (Path file : files) {
      if (isIndex(file)) {
        attempt(() -> shards.addAll(Checkpoints.shards(file)));
        whole.add(file);
      }
    }
    files.stream()
        .filter(file -> !shards.contains(file.getFileName().toString()) && Checkpoints.isLike(file))
        .forEach(whole::add);
    // A HuggingFace folder often holds the same weights in both formats.
    whole.sort(Comparator.comparing(file -> !file.toString().contains(SAFETENSORS)));
    for (Path file : whole) {
      attempt(() -> open(file));
    }
  }

  private void attempt(Runnable step) {
    try {
      step.run();
    } catch (UserException e) {
      problems.add(e);
    }
  }

  private void open(Path file) {
    if (!seen.add(real(file))) {
      return;
    }
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      for (Network network : Network.values()) {
        boolean again =
            network == Network.TEXT_ENCODER
                && of(network).stream().anyMatch(p -> isBeside(p, file));
        if (network.isIn(checkpoint) && !again) {
          candidates.add(new Candidate(network, file));
        }
      }
    }
  }

  /** Whether two paths lead to one file. */
  static boolean isSame(Path a, Path b) {
    try {
      return Files.isSameFile(a, b);
    } catch (IOException _) {
      return false;
    }
  }

  private static boolean isBeside(Path a, Path b) {
    return a.resolveSibling(b.getFileName()).equals(b);
  }

  private static Path real(Path file) {
    try {
      return file.toRealPath();
    } catch (IOException e) {
      throw new UserException(file + ": no such file or folder; check the path", e);
    }
  }
}
