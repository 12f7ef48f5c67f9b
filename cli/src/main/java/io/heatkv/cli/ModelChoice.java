package io.heatkv.cli;

import io.heatkv.TextToImage;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;

/**
 * A model and where it runs, before anything is loaded.
 *
 * @param threads on the CPU, or 0 for libtorch's own choice
 */
record ModelChoice(
    ModelDescription description,
    Device device,
    DType dtype,
    LibTorchLocation location,
    int threads) {
  /** Opens libtorch; see {@link DeviceOptions#open()}. */
  LibTorch library() {
    return DeviceOptions.open(location, threads, device);
  }

  /** Loads the model. */
  TextToImage load(LibTorch library) {
    return new TextToImage(description, library, device, dtype);
  }
}
