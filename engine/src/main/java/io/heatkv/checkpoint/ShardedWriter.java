package io.heatkv.checkpoint;

import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model as safetensors shards with their index, as HuggingFace lays them out, and a {@code
 * SHA256SUMS} that {@code sha256sum -c} reads. A run that was cut off goes on where it stopped:
 * shards whose checksum holds are kept.
 */
public final class ShardedWriter {
  /** Checksums of what is written, one line a file. */
  public static final String SUMS = "SHA256SUMS";

  /** The index that names the shards. */
  public static final String INDEX = "model.safetensors.index.json";

  private static final Pattern SUM_LINE = Pattern.compile("([0-9a-f]{64})  (\\S+)");
  private static final Pattern TEMPORARY = Pattern.compile("\\.heatkv-[0-9a-f-]+\\.tmp");

  private final Path folder;
  private final Map<String, String> metadata;
  private final SortedMap<String, String> sums = new TreeMap<>();
  private final Meter meter;

  /** Told after each tensor written and each shard kept: bytes of elements so far, and of all. */
  public interface Progress {
    void advance(String name, long done, long total);
  }

  /** The index to open, how many shards were written, and how many were there already. */
  public record Result(Path index, int written, int kept) {}

  private record Shard(String name, List<Item> items) {
    long bytes() {
      return items.stream().mapToLong(Item::byteSize).sum();
    }
  }

  private static final class Meter {
    private final Progress progress;
    private final long total;
    private long done;

    Meter(Progress progress, long total) {
      this.progress = progress;
      this.total = total;
    }

    void add(String name, long bytes) {
      done += bytes;
      progress.advance(name, done, total);
    }
  }

  private ShardedWriter(Path folder, Map<String, String> metadata, Meter meter) {
    this.folder = folder;
    this.metadata = metadata;
    this.meter = meter;
  }

  /**
   * Writes all items in order of name, each shard as many as fit {@code shardBytes}, at least one.
   *
   * @param metadata notes for every shard; must tell this content from any other, since a shard
   *     with the same notes and names and a fitting checksum is kept
   * @throws UserException if the folder cannot be written or holds another model
   */
  public static Result write(
      Path folder,
      List<Item> items,
      Map<String, String> metadata,
      long shardBytes,
      Progress progress) {
    List<Shard> shards = plan(items, shardBytes);
    long total = shards.stream().mapToLong(Shard::bytes).sum();
    ShardedWriter writer = new ShardedWriter(folder, metadata, new Meter(progress, total));
    try {
      return writer.run(shards, total);
    } catch (IOException e) {
      throw Problems.unwritable(folder, e);
    }
  }

  private static List<Shard> plan(List<Item> items, long shardBytes) {
    if (items.isEmpty() || shardBytes < 1) {
      throw new IllegalArgumentException("no tensors, or shards of no bytes");
    }
    List<List<Item>> groups = new ArrayList<>();
    long filled = 0;
    for (Item item : items.stream().sorted(Comparator.comparing(Item::name)).toList()) {
      if (groups.isEmpty() || item.byteSize() > shardBytes - filled) {
        groups.add(new ArrayList<>());
        filled = 0;
      }
      groups.getLast().add(item);
      filled += item.byteSize();
    }
    List<Shard> shards = new ArrayList<>();
    for (List<Item> group : groups) {
      String name =
          String.format("model-%05d-of-%05d.safetensors", shards.size() + 1, groups.size());
      shards.add(new Shard(name, group));
    }
    return shards;
  }

  private Result run(List<Shard> shards, long total) throws IOException {
    Files.createDirectories(folder);
    Set<String> ours = new HashSet<>(shards.stream().map(Shard::name).toList());
    ours.add(INDEX);
    prepare(ours);
    readSums();
    sums.keySet().retainAll(ours);
    int kept = 0;
    for (Shard shard : shards) {
      if (isWhole(shard)) {
        kept++;
        meter.add(shard.name, shard.bytes());
      } else {
        List<Item> metered = shard.items.stream().map(this::metered).toList();
        Path file = folder.resolve(shard.name);
        sums.put(shard.name, SafetensorsWriter.write(file, metered, metadata));
        writeSums();
      }
    }
    String index = index(shards, total);
    JsonFile.write(folder.resolve(INDEX), index);
    byte[] bytes = index.getBytes(StandardCharsets.UTF_8);
    sums.put(INDEX, HexFormat.of().formatHex(Fingerprint.sha256().digest(bytes)));
    writeSums();
    return new Result(folder.resolve(INDEX), shards.size() - kept, kept);
  }

  private Item metered(Item item) {
    return new Item(
        item.name(),
        item.dtype(),
        item.shape(),
        sink -> {
          item.content().writeTo(sink);
          meter.add(item.name(), item.byteSize());
        });
  }

  /** Removes what a killed run left half-written; refuses a folder with other models' files. */
  private void prepare(Set<String> ours) throws IOException {
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.filter(Files::isRegularFile).sorted().toList();
    }
    for (Path file : files) {
      String name = file.getFileName().toString();
      if (TEMPORARY.matcher(name).matches()) {
        Files.delete(file);
      } else if (!ours.contains(name)
          && (name.endsWith(".safetensors") || name.endsWith(".index.json"))) {
        throw occupied(name);
      }
    }
  }

  private UserException occupied(String name) {
    return Problems.of(
        folder,
        "holds "
            + Problems.quote(name)
            + " of another model or of other settings; name an empty folder");
  }

  private void readSums() throws IOException {
    Path file = folder.resolve(SUMS);
    if (!Files.exists(file)) {
      return;
    }
    // Latin-1 takes any bytes; lines that are none of ours don't match.
    for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
      Matcher matcher = SUM_LINE.matcher(line);
      if (matcher.matches()) {
        sums.put(matcher.group(2), matcher.group(1));
      }
    }
  }

  /** True for a shard that an earlier run finished; false for one that is missing or damaged. */
  private boolean isWhole(Shard shard) throws IOException {
    Path file = folder.resolve(shard.name);
    String sum = sums.remove(shard.name);
    if (!Files.exists(file)) {
      return false;
    }
    try (Checkpoint checkpoint = openIfSound(file)) {
      if (checkpoint == null) {
        return false;
      }
      if (!checkpoint.metadata().equals(metadata)) {
        throw occupied(shard.name);
      }
      if (sum == null
          || checkpoint.names().size() != shard.items.size()
          || !shard.items.stream().allMatch(holds(checkpoint))
          || !digest(file).equals(sum)) {
        return false;
      }
    }
    sums.put(shard.name, sum);
    return true;
  }

  private static @Nullable Checkpoint openIfSound(Path file) {
    try {
      return Safetensors.open(file);
    } catch (UserException _) {
      return null;
    }
  }

  private static Predicate<Item> holds(Checkpoint checkpoint) {
    return item ->
        checkpoint
            .find(item.name())
            .filter(e -> e.dtype() == item.dtype() && Arrays.equals(e.shape(), item.shape()))
            .isPresent();
  }

  private static String digest(Path file) throws IOException {
    MessageDigest sha256 = Fingerprint.sha256();
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), sha256)) {
      byte[] buffer = new byte[1 << 20];
      while (in.read(buffer) >= 0) {
        // Reading is all it takes.
      }
    }
    return HexFormat.of().formatHex(sha256.digest());
  }

  private void writeSums() {
    JsonFile.write(folder.resolve(SUMS), sumLines(sums));
  }

  /** What {@code sha256sum -c} reads, of sums by file name. */
  public static String sumLines(SortedMap<String, String> sums) {
    StringBuilder text = new StringBuilder();
    sums.forEach((name, sum) -> text.append(sum).append("  ").append(name).append('\n'));
    return text.toString();
  }

  private static String index(List<Shard> shards, long total) {
    SortedMap<String, String> shardOf = new TreeMap<>();
    shards.forEach(shard -> shard.items.forEach(item -> shardOf.put(item.name(), shard.name)));
    return JsonFile.text(json -> {
      json.writeStartObject();
      json.writeObjectFieldStart("metadata");
      json.writeNumberField("total_size", total);
      json.writeEndObject();
      json.writeObjectFieldStart("weight_map");
      for (Map.Entry<String, String> entry : shardOf.entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
    });
  }
}
