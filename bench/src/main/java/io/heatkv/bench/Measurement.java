package io.heatkv.bench;

import io.heatkv.cache.KvMemory;
import io.heatkv.load.MemoryNeed;
import io.heatkv.tensor.DeviceTrace;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What a benchmark found. Bytes are -1 where the device doesn't tell.
 *
 * @param workload that was run
 * @param device and what runs its operators
 * @param scaleMillis median of each scale
 * @param firstMillis all scales of the first generation, with everything that is planned and
 *     compiled once
 * @param busy what the device executed in each scale; empty where it doesn't tell
 * @param ceiling floating-point operations a second of a large matrix product on the same device
 * @param kv bytes of keys and values
 * @param need bytes that the sizes foretell
 * @param memory bytes that the device's driver tells
 */
public record Measurement(
    Workload workload,
    String device,
    List<Double> scaleMillis,
    double firstMillis,
    List<DeviceTrace.Activity> busy,
    double ceiling,
    KvMemory kv,
    MemoryNeed need,
    Memory memory) {
  private static final double MIB = 1 << 20;

  /**
   * Memory of the device beyond that of an idle process; -1 where it isn't told.
   *
   * @param context taken by an idle process, and by others
   * @param libraries taken by the libraries' kernels and workspaces
   * @param peak taken after all generations; the allocator keeps what it once had, so this is the
   *     peak
   * @param grown gained between the second generation and the last
   */
  public record Memory(long context, long libraries, long peak, long grown) {
    /** Where the device doesn't tell. */
    static final Memory UNKNOWN = new Memory(-1, -1, -1, -1);
  }

  public Measurement {
    scaleMillis = List.copyOf(scaleMillis);
    busy = List.copyOf(busy);
  }

  /** Bytes that are accounted for: weights, keys and values, scratch and the libraries' own. */
  public long explainedBytes() {
    return need.total() + Math.max(0, memory.libraries());
  }

  /** Milliseconds that the device works; NaN where it doesn't tell. */
  public double busyMillis() {
    return busy.isEmpty()
        ? Double.NaN
        : busy.stream().mapToLong(DeviceTrace.Activity::busyNanos).sum() / 1e6;
  }

  /** Part of the time in which the device waits for work, from 0 to 1; NaN where it isn't told. */
  public double gapShare() {
    return Math.max(0, 1 - busyMillis() / millis());
  }

  /** Operations a second of a scale. */
  public double rate(int scale) {
    return workload.flops(scale) / scaleMillis.get(scale) * 1e3;
  }

  /** Median milliseconds of all scales. */
  public double millis() {
    return scaleMillis.stream().mapToDouble(Double::doubleValue).sum();
  }

  /** Milliseconds that the same operations take at the ceiling. */
  public double floorMillis() {
    return workload.flops() / ceiling * 1e3;
  }

  /** A table for people. */
  public String text() {
    List<String> lines = new ArrayList<>();
    lines.add(
        "%s, policy %s, budget %s, images: %d"
            .formatted(
                device, workload.policy().name(), workload.policy().budget(), workload.images()));
    lines.add("%-8s %10s %10s".formatted("scale", "ms", "TFLOP/s"));
    for (int t = 0; t < scaleMillis.size(); t++) {
      lines.add(row(workload.grids().size(t).toString(), scaleMillis.get(t), workload.flops(t)));
    }
    lines.add(row("all", millis(), workload.flops()));
    lines.add(
        String.format(
            Locale.ROOT,
            "first %.0f ms; at the matrix product's %.1f TFLOP/s %.0f ms",
            firstMillis,
            ceiling / 1e12,
            floorMillis()));
    lines.add(
        String.format(
            Locale.ROOT,
            "MiB: keys and values %.1f, current scale %.1f, copies %.1f",
            kv.storage() / MIB,
            kv.currentScale() / MIB,
            kv.workspace() / MIB));
    if (!busy.isEmpty()) {
      lines.add(
          String.format(
              Locale.ROOT,
              "device at work %.1f ms in %d steps, %.0f%% of the time in gaps",
              busyMillis(),
              busy.stream().mapToLong(DeviceTrace.Activity::steps).sum(),
              100 * gapShare()));
    }
    if (memory.peak() >= 0) {
      lines.add(
          String.format(
              Locale.ROOT,
              "MiB of the device: peak %.0f = %.2f x (weights %.0f + cache %.0f + scratch %.0f"
                  + " + libraries %.0f), grown %.0f",
              memory.peak() / MIB,
              memory.peak() / (double) explainedBytes(),
              need.weights() / MIB,
              need.cache() / MIB,
              need.scratch() / MIB,
              memory.libraries() / MIB,
              memory.grown() / MIB));
    }
    return String.join("\n", lines) + "\n";
  }

  private static String row(String name, double millis, double flops) {
    return String.format(Locale.ROOT, "%-8s %10.2f %10.1f", name, millis, flops / millis / 1e9);
  }
}
