package io.heatkv.cli.report;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.libtorch.LibTorch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/** What computes here, and how fast. */
public final class Hardware {
  private static final int EDGE = 1024;
  private static final int CUDA_EDGE = 8192;
  private static final double SECONDS = 0.4;

  private Hardware() {}

  /** The processor's name. */
  public static String cpu() throws IOException {
    return lines("/proc/cpuinfo").stream()
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse(System.getProperty("os.arch"));
  }

  /** The library of matrix products, told by the files that this process has mapped. */
  public static String blas() throws IOException {
    List<String> mapped = lines("/proc/self/maps");
    if (mapped.stream().anyMatch(line -> line.contains("openblas"))) {
      return "OpenBLAS";
    }
    if (mapped.stream().anyMatch(line -> line.contains("libmkl"))) {
      return "MKL";
    }
    return "built into libtorch";
  }

  /** Largest memory that this process has had resident, in bytes; empty where it isn't told. */
  public static OptionalLong peakResident() {
    try {
      return lines("/proc/self/status").stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10)
          .findFirst();
    } catch (IOException e) {
      return OptionalLong.empty();
    }
  }

  private static List<String> lines(String file) throws IOException {
    Path path = Path.of(file);
    return Files.isReadable(path) ? Files.readAllLines(path) : List.of();
  }

  /** Thousand millions of operations a second of a product of square matrices. */
  public static double gigaflops(LibTorch library, Device device, DType dtype) {
    int edge = device.isCuda() ? CUDA_EDGE : EDGE;
    try (Scope _ = Scope.open()) {
      Tensor a = Tensor.full(library, 0.5, dtype, device, edge, edge);
      Tensor b = Tensor.full(library, 0.25, dtype, device, edge, edge);
      Ops.matmul(a, b).release();
      library.synchronize(device);
      long start = System.nanoTime();
      int products = 0;
      double seconds;
      do {
        Ops.matmul(a, b).release();
        library.synchronize(device);
        products++;
        seconds = (System.nanoTime() - start) / 1e9;
      } while (seconds < SECONDS);
      return Math.rint(2.0 * edge * edge * edge * products / seconds / 1e8) / 10;
    }
  }
}
