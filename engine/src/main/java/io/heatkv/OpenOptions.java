package io.heatkv;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Where and how a model computes.
 *
 * @param device that computes
 * @param dtype of the transformer's blocks; if none is given, the model's usual one on the device
 * @param libtorch folder of libtorch's libraries; if none is given, it is found by {@link
 *     LibTorchLocation#find}
 * @param threads of an operator on the CPU, for all callers in the process; 0 leaves them as they
 *     are, see {@link LibTorch#open}
 */
public record OpenOptions(
    Device device, Optional<DType> dtype, Optional<Path> libtorch, int threads) {
  /** The usual type and libtorch on a device. */
  public static OpenOptions on(Device device) {
    return new OpenOptions(device, Optional.empty(), Optional.empty(), 0);
  }

  /** The same with another compute type. */
  public OpenOptions with(DType other) {
    return new OpenOptions(device, Optional.of(other), libtorch, threads);
  }

  /** The same with the libtorch of a folder. */
  public OpenOptions withLibtorch(Path folder) {
    return new OpenOptions(device, dtype, Optional.of(folder), threads);
  }

  /** The same with another number of threads. */
  public OpenOptions withThreads(int other) {
    return new OpenOptions(device, dtype, libtorch, other);
  }
}
