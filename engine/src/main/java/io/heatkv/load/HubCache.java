package io.heatkv.load;

import io.heatkv.error.UserException;
import io.heatkv.text.T5Config;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The folder in which HuggingFace's tools keep downloads: {@code
 * models--OWNER--NAME/{refs,blobs,snapshots}}. Only read; nothing is ever downloaded.
 *
 * @param folder it may be missing
 */
public record HubCache(Path folder) {
  private static final String PREFIX = "models--";
  private static final String USUAL_TEXT_ENCODER = PREFIX + "google--flan-t5-xl";
  private static final int LONGEST_REF = 200;

  /**
   * The folder as HuggingFace's tools find it.
   *
   * @param environment HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME and XDG_CACHE_HOME count, in
   *     this order
   * @param home the user's folder
   */
  public static HubCache of(Map<String, String> environment, Path home) {
    return set(environment, "HF_HUB_CACHE", home)
        .or(() -> set(environment, "HUGGINGFACE_HUB_CACHE", home))
        .or(() -> set(environment, "HF_HOME", home).map(p -> p.resolve("hub")))
        .or(() ->
            set(environment, "XDG_CACHE_HOME", home)
                .map(p -> p.resolve("huggingface").resolve("hub")))
        .map(HubCache::new)
        .orElseGet(
            () -> new HubCache(home.resolve(".cache").resolve("huggingface").resolve("hub")));
  }

  private static Optional<Path> set(Map<String, String> environment, String name, Path home) {
    return Optional.ofNullable(environment.get(name))
        .filter(value -> !value.isBlank())
        .map(value ->
            value.startsWith("~")
                ? home.resolve(value.substring(1).replaceFirst("^/+", ""))
                : Path.of(value));
  }

  /** The folder of this user. */
  public static HubCache locate() {
    return of(System.getenv(), Path.of(System.getProperty("user.home", ".")));
  }

  /** Whether a folder is one repository of such a cache. */
  static boolean isRepository(Path folder) {
    return Files.isDirectory(folder.resolve("snapshots"))
        && (Files.isDirectory(folder.resolve("refs"))
            || Files.isDirectory(folder.resolve("blobs")));
  }

  /** The snapshot that {@code refs/main} names, else the newest; empty if there is none. */
  static Optional<Path> snapshot(Path repository) {
    Path snapshots = repository.resolve("snapshots");
    try {
      Path ref = repository.resolve("refs").resolve("main");
      if (Files.isRegularFile(ref) && Files.size(ref) <= LONGEST_REF) {
        String commit = Files.readString(ref).strip();
        if (commit.matches("[0-9A-Za-z]+") && Files.isDirectory(snapshots.resolve(commit))) {
          return Optional.of(snapshots.resolve(commit));
        }
      }
      try (Stream<Path> all = Files.list(snapshots)) {
        return all.filter(Files::isDirectory)
            .max(
                Comparator.comparingLong((Path p) -> p.toFile().lastModified())
                    .thenComparing(p -> p));
      }
    } catch (IOException e) {
      throw new UserException(repository + ": can't be read: " + e.getMessage(), e);
    }
  }

  /** Snapshots of T5 encoders of that many channels, flan-t5-xl first. */
  List<Path> textEncoders(int width) {
    List<Path> repositories;
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(folder)) {
      repositories =
          all.filter(p -> p.getFileName().toString().startsWith(PREFIX) && isRepository(p))
              .sorted(
                  Comparator.comparing(
                          (Path p) -> !p.getFileName().toString().equals(USUAL_TEXT_ENCODER))
                      .thenComparing(p -> p))
              .toList();
    } catch (IOException e) {
      throw new UserException(folder + ": can't be read: " + e.getMessage(), e);
    }
    List<Path> found = new ArrayList<>();
    for (Path repository : repositories) {
      snapshot(repository).filter(snapshot -> isTextEncoder(snapshot, width)).ifPresent(found::add);
    }
    return found;
  }

  private static boolean isTextEncoder(Path snapshot, int width) {
    Path config = snapshot.resolve("config.json");
    try {
      return Files.isRegularFile(config) && T5Config.read(config).width() == width;
    } catch (UserException _) {
      // Another architecture's.
      return false;
    }
  }
}
