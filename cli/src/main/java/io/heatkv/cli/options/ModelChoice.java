package io.heatkv.cli.options;

import io.heatkv.ImageGenerator;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;

/**
 * A model and where it runs, before anything is loaded.
 *
 * @param opening of libtorch, under way
 */
public record ModelChoice(
    ModelDescription description, Device device, DType dtype, LibraryOpening opening)
    implements AutoCloseable {
  /** libtorch, see {@link LibraryOpening#await}. */
  public LibTorch library() {
    return opening.await(device);
  }

  /** Loads the model. */
  public ImageGenerator load(LibTorch library) {
    return new ImageGenerator(description, library, device, dtype);
  }

  /** Closes the model's files. */
  @Override
  public void close() {
    description.close();
  }
}
