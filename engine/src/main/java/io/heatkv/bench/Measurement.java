package io.heatkv.bench;

import io.heatkv.cache.KvMemory;
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
 * @param ceiling floating-point operations a second of a large matrix product on the same device
 * @param kv bytes of keys and values
 * @param weightBytes device memory after loading, over that of an idle process
 * @param peakBytes device memory after all generations, likewise; the allocator keeps what it once
 *     had, so this is the peak
 * @param grownBytes device memory gained between the second generation and the last
 */
public record Measurement(
    Workload workload,
    String device,
    List<Double> scaleMillis,
    double firstMillis,
    double ceiling,
    KvMemory kv,
    long weightBytes,
    long peakBytes,
    long grownBytes) {
  private static final double MIB = 1 << 20;

  public Measurement {
    scaleMillis = List.copyOf(scaleMillis);
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
    lines.add(device + ", policy " + workload.policy().name() + ", images: " + workload.images());
    lines.add("%-8s %10s %10s".formatted("scale", "ms", "TFLOP/s"));
    for (int t = 0; t < scaleMillis.size(); t++) {
      lines.add(row(workload.schedule().size(t).toString(), scaleMillis.get(t), workload.flops(t)));
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
    if (peakBytes >= 0) {
      lines.add(
          String.format(
              Locale.ROOT,
              "MiB of the device: weights %.0f, peak %.0f, grown %.0f",
              weightBytes / MIB,
              peakBytes / MIB,
              grownBytes / MIB));
    }
    return String.join("\n", lines) + "\n";
  }

  private static String row(String name, double millis, double flops) {
    return String.format(Locale.ROOT, "%-8s %10.2f %10.1f", name, millis, flops / millis / 1e9);
  }
}
