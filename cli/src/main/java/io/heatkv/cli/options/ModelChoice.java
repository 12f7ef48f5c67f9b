package io.heatkv.cli.options;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.List;
import java.util.Optional;

/**
 * A model and where it runs, before anything is loaded.
 *
 * @param where devices that share the work
 * @param opening of libtorch, under way
 */
public record ModelChoice(
    ModelDescription description, DeviceList where, DType dtype, LibraryOpening opening)
    implements AutoCloseable {
  /** One of the devices, to ask what is the same on all. */
  public Device device() {
    return where.first();
  }

  /** libtorch, see {@link LibraryOpening#await}. */
  public LibTorch library() {
    return opening.await(where.named());
  }

  /** All devices. */
  public List<Device> devices(LibTorch library) {
    return where.in(library);
  }

  /** Loads the model onto one device. */
  public ImageGenerator load(LibTorch library) {
    return new ImageGenerator(description, library, device(), dtype);
  }

  /** Loads the model onto the devices, onto no more of them than there are tasks to share. */
  public DevicePool load(LibTorch library, int tasks) {
    return load(library, tasks, Optional.empty());
  }

  /** As above for a first request, see {@link DevicePool#load}. */
  public DevicePool load(LibTorch library, int tasks, Optional<GenerationRequest> first) {
    List<Device> devices = devices(library);
    return DevicePool.load(
        description,
        library,
        devices.subList(0, Math.clamp(tasks, 1, devices.size())),
        dtype,
        first);
  }

  /** Closes the model's files. */
  @Override
  public void close() {
    description.close();
  }
}
