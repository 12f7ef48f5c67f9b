package io.heatkv.tensor.libtorch;

import io.heatkv.error.UserException;
import java.util.List;
import java.util.Locale;

/**
 * Names of the native files on this operating system.
 *
 * @param classifier of the artifacts on Maven Central
 * @param pytorch files of the pytorch artifact, in the order of loading
 * @param openblas files of the openblas artifact, loaded before those
 * @param torchCpu name of the library with the stable C ABI
 * @param cuda further files of a CUDA build, loaded last
 */
record NativePlatform(
    String classifier,
    List<String> pytorch,
    List<String> openblas,
    String torchCpu,
    List<String> cuda) {

  private static final NativePlatform LINUX =
      new NativePlatform(
          "linux-x86_64",
          List.of("libgomp.so.1", "libc10.so", "libtorch_cpu.so"),
          List.of("libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0"),
          "libtorch_cpu.so",
          List.of("libc10_cuda.so", "libtorch_cuda.so"));
  private static final NativePlatform MAC =
      new NativePlatform(
          "macosx-arm64",
          List.of("libiomp5.dylib", "libc10.dylib", "libtorch_cpu.dylib"),
          List.of(
              "libgcc_s.1.1.dylib",
              "libquadmath.0.dylib",
              "libgfortran.5.dylib",
              "libopenblas.0.dylib"),
          "libtorch_cpu.dylib",
          List.of());
  private static final NativePlatform WINDOWS =
      new NativePlatform(
          "windows-x86_64",
          List.of("uv.dll", "c10.dll", "torch_cpu.dll"),
          List.of("libopenblas.dll"),
          "torch_cpu.dll",
          List.of("c10_cuda.dll", "torch_cuda.dll"));

  /**
   * The platform that runs this process.
   *
   * @throws UserException where no natives exist
   */
  static NativePlatform current() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch", "");
    boolean x86 = arch.equals("amd64") || arch.equals("x86_64");
    if (os.contains("linux") && (x86 || arch.equals("aarch64"))) {
      return LINUX;
    }
    if (os.contains("mac") && arch.equals("aarch64")) {
      return MAC;
    }
    if (os.contains("windows") && x86) {
      return WINDOWS;
    }
    throw new UserException(
        os + " on " + arch + " has no libtorch here; use Linux, Windows x86-64 or macOS arm64");
  }

  boolean isWindows() {
    return equals(WINDOWS);
  }

  boolean isMac() {
    return equals(MAC);
  }
}
