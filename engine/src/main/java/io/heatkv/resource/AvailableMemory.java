package io.heatkv.resource;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** How much memory this process may still take. */
public final class AvailableMemory {
  private AvailableMemory() {}

  /**
   * Bytes that are free or can be freed, within the limit of the process's control groups on Linux;
   * elsewhere the machine's whole memory.
   */
  public static long bytes() {
    return bytes(Path.of("/"));
  }

  /**
   * As {@link #bytes()}, of the system files below {@code root}.
   *
   * @param root the root folder, another in tests
   */
  static long bytes(Path root) {
    long machine = field(root.resolve("proc/meminfo"), "MemAvailable:");
    if (machine < 0) {
      return ManagementFactory.getOperatingSystemMXBean()
              instanceof com.sun.management.OperatingSystemMXBean system
          ? system.getTotalMemorySize()
          : Long.MAX_VALUE;
    }
    return Math.min(1024 * machine, controlGroups(root));
  }

  /** The least that the process's group and those above it leave. */
  private static long controlGroups(Path root) {
    long least = Long.MAX_VALUE;
    Path mount = root.resolve("sys/fs/cgroup");
    for (String line : lines(root.resolve("proc/self/cgroup"))) {
      String[] parts = line.split(":", 3);
      if (parts.length < 3) {
        continue;
      }
      boolean unified = parts[1].isEmpty();
      if (unified || List.of(parts[1].split(",")).contains("memory")) {
        Path top = unified ? mount : mount.resolve("memory");
        Path group = top.resolve(parts[2].substring(1)).normalize();
        // In a container the group may lie outside what is mounted; its limit is then at the top.
        Path at = group.startsWith(top) ? group : top;
        for (; at != null && at.startsWith(top); at = at.getParent()) {
          least = Math.min(least, unified ? left(at) : leftOfOldKind(at));
        }
      }
    }
    return least;
  }

  /** Swap doesn't count as memory here, as it doesn't in MemAvailable. */
  private static long left(Path group) {
    Path stat = group.resolve("memory.stat");
    long limit = Math.min(limit(group.resolve("memory.max")), limit(group.resolve("memory.high")));
    return left(
        limit,
        number(group.resolve("memory.current")),
        sum(stat, "active_file", "inactive_file", "slab_reclaimable"));
  }

  /** Here a second limit counts memory and swap together. */
  private static long leftOfOldKind(Path group) {
    long files = sum(group.resolve("memory.stat"), "total_active_file", "total_inactive_file");
    return Math.min(
        left(
            limit(group.resolve("memory.limit_in_bytes")),
            number(group.resolve("memory.usage_in_bytes")),
            files),
        left(
            limit(group.resolve("memory.memsw.limit_in_bytes")),
            number(group.resolve("memory.memsw.usage_in_bytes")),
            files));
  }

  /** Cached and mapped files count as used, but the kernel gives them up before it refuses. */
  private static long left(long limit, long used, long files) {
    return limit == Long.MAX_VALUE || used < 0
        ? Long.MAX_VALUE
        : Math.max(0, limit - Math.max(0, used - files));
  }

  private static long limit(Path file) {
    long number = number(file);
    return number < 0 ? Long.MAX_VALUE : number;
  }

  private static long sum(Path file, String... names) {
    return Stream.of(names).mapToLong(name -> Math.max(0, field(file, name))).sum();
  }

  /** The number that a file holds, or -1 for none, such as {@code max}. */
  private static long number(Path file) {
    List<String> lines = lines(file);
    return lines.isEmpty() ? -1 : parse(lines.getFirst().strip());
  }

  /** The number behind a name at the start of a line, or -1. */
  private static long field(Path file, String name) {
    for (String line : lines(file)) {
      String[] words = line.split("\\s+");
      if (words.length >= 2 && words[0].equals(name)) {
        return parse(words[1]);
      }
    }
    return -1;
  }

  private static long parse(String text) {
    return text.matches("\\d{1,18}") ? Long.parseLong(text) : -1;
  }

  private static List<String> lines(Path file) {
    try {
      return Files.isReadable(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException e) {
      return List.of();
    }
  }
}
