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

  /**
   * The platform that runs this process.
   *
   * @throws UserException where no natives exist
   */
  static NativePlatform current() {
    return of(System.getProperty("os.name", ""), System.getProperty("os.arch", ""));
  }

  static NativePlatform of(String os, String arch) {
    String system = os.toLowerCase(Locale.ROOT);
    boolean x86 = arch.equals("amd64") || arch.equals("x86_64");
    if (system.contains("linux") && x86) {
      return LINUX;
    }
    if (system.contains("linux") && arch.equals("aarch64")) {
      return LINUX.withClassifier("linux-arm64");
    }
    if (system.contains("mac") && arch.equals("aarch64")) {
      return MAC;
    }
    if (system.contains("windows")) {
      throw new UserException(
          "Windows is not supported: files are owned, locked and replaced in other ways there, and nothing was ever tested on it; use Linux, for instance by WSL 2");
    }
    throw new UserException(
        os + " on " + arch + " has no libtorch here; use Linux on x86-64 or macOS on arm64");
  }

  private NativePlatform withClassifier(String other) {
    return new NativePlatform(other, pytorch, openblas, torchCpu, cuda);
  }

  /** Whether Maven Central has natives for it. */
  boolean isServed() {
    return equals(LINUX) || equals(MAC);
  }

  boolean isLinux() {
    return !isMac();
  }

  boolean isMac() {
    return equals(MAC);
  }
}
