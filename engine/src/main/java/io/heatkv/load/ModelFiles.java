package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Files and folders in which a model is looked for; what a file is, its content tells, not its
 * name. Each is opened once and stays open until this is closed; what is asked for after that is
 * opened again.
 */
public final class ModelFiles implements AutoCloseable {
  private static final int DEEPEST = 5;
  private static final int MOST_ENTRIES = 20_000;
  private static final String INDEX = ".index.json";
  private static final String SAFETENSORS = ".safetensors";

  private final List<Network> networks;
  private final List<Path> sources = new ArrayList<>();
  private final List<Path> named = new ArrayList<>();
  private final Set<Candidate> candidates = new LinkedHashSet<>();
  private final List<UserException> problems = new ArrayList<>();
  private final Set<Path> seen = new HashSet<>();
  private final Map<Path, Checkpoint> opened = new HashMap<>();
  private int entries;

  /**
   * A network that was found.
   *
   * @param path file or index that holds it
   */
  private record Candidate(Network network, Path path) {}

  private ModelFiles(List<Network> networks) {
    this.networks = networks;
  }

  /** A model's folder whose description names its files: nothing is looked for. */
  public static ModelFiles in(Path folder) {
    ModelFiles files = new ModelFiles(List.of());
    files.sources.add(folder);
    return files;
  }

  /**
   * Looks into files, and into folders down to a bounded depth.
   *
   * @throws UserException if a named file is unsound, or a folder holds too many files
   */
  public static ModelFiles scan(List<Path> sources, List<Network> networks) {
    ModelFiles files = new ModelFiles(networks);
    files.sources.addAll(sources);
    sources.stream().filter(Files::isRegularFile).forEach(files.named::add);
    files.look(sources);
    return files;
  }

  /**
   * Looks into a file and the folder that it lies in.
   *
   * @throws UserException as above, or if the file holds no network that draws
   */
  public static ModelFiles beside(Path file, List<Network> networks, List<Network> drawing) {
    Path named = file.toAbsolutePath();
    ModelFiles files = new ModelFiles(networks);
    files.sources.add(folder(named));
    files.named.add(named);
    files.look(List.of(named));
    if (drawing.stream().allMatch(network -> files.of(network).isEmpty())) {
      files.close();
      throw new UserException(
          "%s: holds no %s; name its file or the model's folder"
              .formatted(
                  file, drawing.stream().map(Network::label).collect(Collectors.joining(" or "))));
    }
    files.look(files.sources);
    return files;
  }

  private void look(List<Path> places) {
    try {
      for (Path source : places) {
        if (Files.isDirectory(source)) {
          walk(source, 0);
        } else {
          tell(source);
        }
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * Of an index that was named alone, looks into the folder above its own, too: shards are
   * published in a folder of their own.
   */
  public void widen() {
    if (named.size() == 1 && isIndex(named.getFirst()) && Files.isDirectory(sources.getFirst())) {
      sources.set(0, folder(sources.getFirst()));
      look(sources);
    }
  }

  /** Looks into another folder, such as one of a cache. */
  public void also(Path folder) {
    look(List.of(folder));
  }

  static boolean isIndex(Path file) {
    return file.toString().endsWith(INDEX);
  }

  /** Networks of one kind, in the order in which they were found. */
  public List<Path> of(Network network) {
    return candidates.stream().filter(c -> c.network.equals(network)).map(Candidate::path).toList();
  }

  /**
   * Opens what a file holds of a network, once; it belongs to these files.
   *
   * @throws UserException if the file is unsound or holds several such networks
   */
  public Checkpoint open(Network network, Path file) {
    return network.part(open(file));
  }

  private synchronized Checkpoint open(Path file) {
    Path key = file.toAbsolutePath().normalize();
    Checkpoint open = opened.get(key);
    if (open == null) {
      open = Checkpoints.open(file);
      opened.put(key, open);
    }
    return open;
  }

  /** Files that look like a model's but can't be read. */
  public List<UserException> problems() {
    return problems;
  }

  /** Whether a file was named itself, not the folder that it lies in. */
  public boolean isNamed(Path file) {
    return named.stream().anyMatch(name -> isSame(name, file));
  }

  /** Whether one folder alone was named. */
  public boolean areOneFolder() {
    return sources.size() == 1 && named.isEmpty();
  }

  /** The model's folder: the first that was named, or that of the first file. */
  public Path root() {
    Path first = sources.getFirst();
    return Files.isDirectory(first) ? first : folder(first);
  }

  /** Calibration profiles in the model's folder. */
  public List<Path> profiles() {
    try (Stream<Path> all = Files.list(root().toAbsolutePath())) {
      return all.filter(file -> file.toString().endsWith(CalibrationProfile.SUFFIX))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UserException(root() + ": can't be read: " + e.getMessage(), e);
    }
  }

  /** A file's name for people, without the model's folder. */
  public String shortened(Path file) {
    return file.startsWith(root()) ? root().relativize(file).toString() : file.toString();
  }

  /** What was named, for messages. */
  @Override
  public String toString() {
    return sources.stream().map(Path::toString).collect(Collectors.joining(", "));
  }

  /** The folder that a file lies in. */
  public static Path folder(Path file) {
    Path parent = file.getParent();
    return parent == null ? Path.of("") : parent;
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
      attempt(() -> tell(file));
    }
  }

  private void attempt(Runnable step) {
    try {
      step.run();
    } catch (UserException e) {
      problems.add(e);
    }
  }

  /** Finds out which networks a file holds. */
  private void tell(Path file) {
    if (!seen.add(real(file))) {
      return;
    }
    Checkpoint checkpoint = open(file);
    for (Network network : networks) {
      boolean again =
          network.oncePerFolder() && of(network).stream().anyMatch(p -> isBeside(p, file));
      if (network.isIn(checkpoint) && !again) {
        candidates.add(new Candidate(network, file));
      }
    }
  }

  /** Whether two paths lead to one file. */
  public static boolean isSame(Path a, Path b) {
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

  @Override
  public synchronized void close() {
    opened.values().forEach(Checkpoint::close);
    opened.clear();
  }
}
