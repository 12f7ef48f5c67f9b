package io.heatkv.eval;

import io.heatkv.ImageGenerator;
import io.heatkv.load.ModelSource;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;

/** The embedded model on the device that the system property heatkv.device names. */
public final class TestModel {
  private TestModel() {}

  /** The process's libtorch, on one thread: waiting for a second costs more on a busy machine. */
  public static Backend backend() {
    return LibTorch.open(LibTorchLocation.find(null, CacheFolder.locate()), 1);
  }

  public static ImageGenerator open() {
    return new ImageGenerator(
        ModelSource.find(ModelSource.EMBEDDED),
        backend(),
        Device.parse(System.getProperty("heatkv.device", "cpu")),
        DType.F32);
  }
}
