package io.heatkv.cli.report;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.cli.console.Sizes;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.Network;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What a file of weights holds, told without loading it.
 *
 * @param file what was opened
 * @param fingerprint tells its tensors from others
 * @param networks each with the keys above its tensors, which may be none, and its sizes
 * @param tensors in order of name
 * @param metadata the file's own notes
 */
public record CheckpointSummary(
    Path file,
    String fingerprint,
    Map<Network, List<String>> networks,
    List<Tensor> tensors,
    Map<String, String> metadata) {
  /** More tensors than these are told by their first keys. */
  private static final int MOST_LISTED = 100;

  /** One tensor. */
  public record Tensor(String name, String dtype, long[] shape, long elements, long bytes) {
    static Tensor of(TensorEntry entry) {
      return new Tensor(
          entry.name(),
          entry.dtype().name(),
          entry.shape(),
          entry.elements(),
          entry.bytes().byteSize());
    }

    String group() {
      return name.substring(0, (name + ".").indexOf('.'));
    }
  }

  /**
   * Reads a file or an index of shards.
   *
   * @throws UserException if it is unsound
   */
  public static CheckpointSummary of(Path file) {
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      Map<Network, List<String>> networks = new LinkedHashMap<>();
      for (Network network : ModelFamilies.networks()) {
        if (network.isIn(checkpoint)) {
          networks.put(network, described(network, checkpoint));
        }
      }
      return new CheckpointSummary(
          file,
          Fingerprint.of(checkpoint),
          networks,
          checkpoint.names().stream().map(checkpoint::entry).map(Tensor::of).toList(),
          checkpoint.metadata());
    }
  }

  /** Where it lies in the file, then what it is. */
  private static List<String> described(Network network, Checkpoint checkpoint) {
    try {
      String place = network.place(checkpoint).orElse("");
      return List.of(place, network.sizes().apply(network.part(checkpoint)));
    } catch (UserException e) {
      return List.of("", String.valueOf(e.getMessage()));
    }
  }

  private long elements() {
    return tensors.stream().mapToLong(Tensor::elements).sum();
  }

  private long bytes() {
    return tensors.stream().mapToLong(Tensor::bytes).sum();
  }

  private Map<String, Long> types() {
    return tensors.stream()
        .collect(Collectors.groupingBy(Tensor::dtype, TreeMap::new, Collectors.counting()));
  }

  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", file);
    json.put("elements", elements());
    json.put("bytes", bytes());
    json.put("types", types());
    List<Object> found = new ArrayList<>();
    networks.forEach((network, described) -> {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("network", network.label());
      one.put("below", described.getFirst());
      one.put("sizes", described.getLast());
      found.add(one);
    });
    json.put("networks", found);
    json.put("metadata", metadata);
    json.put("fingerprint", fingerprint);
    json.put("tensors", tensors.stream().map(CheckpointSummary::toJson).toList());
    return json;
  }

  private static Map<String, Object> toJson(Tensor tensor) {
    Map<String, Object> one = new LinkedHashMap<>();
    one.put("name", tensor.name);
    one.put("dtype", tensor.dtype);
    one.put("shape", Arrays.stream(tensor.shape).boxed().toList());
    return one;
  }

  public String toText() {
    List<String> lines = new ArrayList<>();
    lines.add(line("file", file.toString()));
    lines.add(
        line(
            "tensors",
            "%d of %s, %.1f M elements, %s"
                .formatted(
                    tensors.size(),
                    types().entrySet().stream()
                        .map(type -> type.getValue() + " " + type.getKey())
                        .collect(Collectors.joining(", ")),
                    elements() / 1e6,
                    Sizes.text(bytes()))));
    networks.forEach((network, described) ->
        lines.add(
            line(
                "holds",
                network
                    + (described.getFirst().isEmpty() ? "" : " below " + described.getFirst())
                    + (described.getLast().isEmpty() ? "" : ": " + described.getLast()))));
    metadata.forEach((key, text) -> lines.add(line("note", key + " = " + text)));
    lines.add(line("fingerprint", fingerprint));
    if (tensors.size() <= MOST_LISTED) {
      tensors.forEach(tensor ->
          lines.add(
              "  %s %s %s".formatted(tensor.name, tensor.dtype, Arrays.toString(tensor.shape))));
    } else {
      Map<String, List<Tensor>> groups =
          tensors.stream()
              .collect(
                  Collectors.groupingBy(Tensor::group, LinkedHashMap::new, Collectors.toList()));
      groups.forEach((group, members) ->
          lines.add(
              String.format(
                  Locale.ROOT,
                  "  %s: %d tensors, %.1f M elements",
                  group,
                  members.size(),
                  members.stream().mapToLong(Tensor::elements).sum() / 1e6)));
      lines.add("  --json names every tensor");
    }
    return String.join("\n", lines);
  }

  private static String line(String name, String value) {
    return "%-16s %s".formatted(name, value);
  }
}
