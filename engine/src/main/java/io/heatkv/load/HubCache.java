package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.error.UserException;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.text.T5Config;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
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
  private static final String CONFIG = "config.json";
  private static final int LONGEST_REF = 200;
  private static final int DEEPEST = 4;

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

  /**
   * The snapshot that {@code refs/main} names, else the newest; empty if there is none. One that a
   * download left incomplete is passed over where another is whole.
   *
   * @param problems is told of a snapshot passed over
   */
  static Optional<Path> snapshot(Path repository, List<UserException> problems) {
    return whole(snapshots(repository), problems);
  }

  private static Optional<Path> whole(List<Path> snapshots, List<UserException> problems) {
    Optional<Path> whole = snapshots.stream().filter(s -> lack(s).isEmpty()).findFirst();
    if (whole.isEmpty()) {
      return snapshots.stream().findFirst();
    }
    Path first = snapshots.getFirst();
    lack(first)
        .ifPresent(lack ->
            problems.add(
                new UserException(
                    "%s: is incomplete, it lacks %s; took %s; download it again"
                        .formatted(first, lack, whole.get().getFileName()))));
    return whole;
  }

  /** All snapshots, first that of {@code refs/main}, then by date, newest first. */
  private static List<Path> snapshots(Path repository) {
    Path snapshots = repository.resolve("snapshots");
    try {
      Path ref = repository.resolve("refs").resolve("main");
      String main =
          Files.isRegularFile(ref) && Files.size(ref) <= LONGEST_REF
              ? Files.readString(ref).strip()
              : "";
      try (Stream<Path> all = Files.list(snapshots)) {
        return all.filter(Files::isDirectory)
            .sorted(
                Comparator.comparing((Path p) -> !p.getFileName().toString().equals(main))
                    .thenComparingLong(p -> -p.toFile().lastModified())
                    .thenComparing(Comparator.reverseOrder()))
            .toList();
      }
    } catch (IOException e) {
      throw new UserException(repository + ": can't be read: " + e.getMessage(), e);
    }
  }

  /**
   * What a download that was cut off left out: a link's blob, a shard, any weights, a T5's
   * tokenizer.
   */
  private static Optional<String> lack(Path snapshot) {
    List<Path> files;
    try (Stream<Path> all = Files.walk(snapshot, DEEPEST)) {
      files = all.filter(p -> !Files.isDirectory(p)).sorted().toList();
    } catch (IOException | UncheckedIOException e) {
      return Optional.of("readable files (" + e.getMessage() + ")");
    }
    boolean weights = false;
    for (Path file : files) {
      if (!Files.exists(file)) {
        return Optional.of("the content of " + snapshot.relativize(file));
      }
      weights |= Checkpoints.isLike(file);
      if (ModelFiles.isIndex(file)) {
        for (String shard : shards(file)) {
          if (!Files.exists(file.resolveSibling(shard))) {
            return Optional.of("the shard " + shard);
          }
        }
      }
    }
    if (!weights) {
      return Optional.of("weights");
    }
    return width(snapshot).isPresent() && !hasTokenizer(snapshot)
        ? Optional.of("the tokenizer")
        : Optional.empty();
  }

  private static Set<String> shards(Path index) {
    try {
      return Checkpoints.shards(index);
    } catch (UserException _) {
      // Reading the snapshot will say so.
      return Set.of();
    }
  }

  private static boolean hasTokenizer(Path snapshot) {
    return Files.exists(snapshot.resolve(PromptTokenizer.TOKENIZER))
        || Files.exists(snapshot.resolve(PromptTokenizer.SENTENCE_PIECE));
  }

  /**
   * Snapshots of T5 encoders of that many channels, flan-t5-xl first.
   *
   * @param problems is told of snapshots passed over
   */
  public List<Path> textEncoders(int width, List<UserException> problems) {
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
      List<Path> snapshots = snapshots(repository);
      if (snapshots.stream().anyMatch(snapshot -> width(snapshot).orElse(0) == width)) {
        whole(snapshots, problems)
            .filter(snapshot -> width(snapshot).orElse(0) == width)
            .ifPresent(found::add);
      }
    }
    return found;
  }

  /** Channels of a T5 encoder, or empty if a snapshot is another architecture's. */
  private static OptionalInt width(Path snapshot) {
    Path config = snapshot.resolve(CONFIG);
    try {
      return Files.isRegularFile(config)
          ? OptionalInt.of(T5Config.read(config).width())
          : OptionalInt.empty();
    } catch (UserException _) {
      return OptionalInt.empty();
    }
  }
}
