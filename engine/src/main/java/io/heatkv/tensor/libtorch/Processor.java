package io.heatkv.tensor.libtorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The machine's processor. */
final class Processor {
  private static final Path CPUINFO = Path.of("/proc/cpuinfo");
  private static final boolean AVX512 = hasFlag("avx512bw");
  private static final boolean MULTIPLIES_BF16 = hasFlag("avx512_bf16", "amx_bf16");

  private Processor() {}

  /**
   * Cores that this process may use, without hyper-threads where the system tells them apart:
   * matrix products gain nothing from those.
   */
  static int cores() {
    int available = Runtime.getRuntime().availableProcessors();
    Set<String> cores = new HashSet<>();
    String socket = "";
    for (String line : cpuinfo()) {
      if (line.startsWith("physical id")) {
        socket = line;
      } else if (line.startsWith("core id")) {
        cores.add(socket + line);
      }
    }
    return cores.isEmpty() ? available : Math.min(available, cores.size());
  }

  /** Whether it has AVX-512 as libraries ask for it, with its instructions for bytes and words. */
  static boolean hasAvx512() {
    return AVX512;
  }

  /** Whether it has instructions for products of bfloat16 matrices, AVX512-BF16 or AMX. */
  static boolean multipliesBf16() {
    return MULTIPLIES_BF16;
  }

  private static boolean hasFlag(String... flags) {
    for (String line : cpuinfo()) {
      if (line.startsWith("flags")) {
        return !Collections.disjoint(List.of(line.split("\\s+")), List.of(flags));
      }
    }
    return false;
  }

  private static Iterable<String> cpuinfo() {
    try {
      return Files.isReadable(CPUINFO) ? Files.readAllLines(CPUINFO) : Set.of();
    } catch (IOException e) {
      return Set.of();
    }
  }
}
