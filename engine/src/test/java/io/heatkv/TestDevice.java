package io.heatkv;

import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Objects;

/** What all tests compute on, and where their files lie. */
public final class TestDevice {
  private TestDevice() {}

  /**
   * The process's libtorch, on one thread: waiting for a second one costs more on a busy machine.
   */
  public static Backend backend() {
    return LibTorch.open(LibTorchLocation.find(null, CacheFolder.locate()), 1);
  }

  /** The CPU, or the device that the system property heatkv.device names. */
  public static Device device() {
    return Device.parse(System.getProperty("heatkv.device", "cpu"));
  }

  /** The embedded model, from a jar or a folder. */
  public static InfinityDescription model() {
    return (InfinityDescription) ModelSource.find(ModelSource.EMBEDDED);
  }

  /** A test resource such as {@code /golden/tiny-a}. */
  public static Path resource(String name) {
    try {
      return Path.of(Objects.requireNonNull(TestDevice.class.getResource(name), name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }
}
