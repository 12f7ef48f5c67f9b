package io.heatkv.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.family.FirstPass;
import io.heatkv.family.NextScaleModel;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What a model is and where its files lie, before it is loaded. Files are opened when they are
 * first needed and stay open until this is closed, after the models that were loaded from it.
 */
public interface ModelDescription extends ModelSizes, AutoCloseable {
  /** Where the model lies. */
  Path folder();

  /** Its calibration, if it comes with one. */
  Optional<Path> profile();

  /**
   * Tells the transformer's weights apart from others', without loading them.
   *
   * @throws UserException if they are missing or damaged
   */
  String fingerprint();

  /** Its networks as their files have them; the transformer first. */
  List<NetworkSummary> networks();

  /** Whether prompts name classes; else they are texts. */
  boolean isClassConditional();

  /**
   * @throws UserException if a prompt means nothing to the model
   */
  default void requirePrompt(String prompt) {}

  /** Prompts that were held out of its training; none where it comes without. */
  List<String> heldOut();

  /** How tokens are drawn, in one word. */
  String sampler();

  /** Floating-point operations of decoding one picture. */
  double decodeFlops(ScaleGrids grids);

  /** Whether the image tokenizer can encode pictures as well. */
  boolean hasEncoder();

  /** What a generation needs of the machine's memory, where that is what it computes in. */
  MemoryEstimate estimate(KvShape shape, CachePolicy policy);

  /** The same sizes with random weights. */
  RandomModel random();

  /**
   * Loads the networks, and lets parts of a pass that will follow run meanwhile.
   *
   * @param dtype compute type of the transformer's blocks
   * @param first the pass that is drawn first, if it is known
   * @throws UserException if a file is missing, damaged or of another model
   */
  default NextScaleModel load(
      Backend backend, Device device, DType dtype, Optional<FirstPass> first) {
    return load(backend, device, dtype);
  }

  /** Loads classes that a first picture needs, beside other work. */
  default void warmUp() {}

  /**
   * Converts the model to a folder whose weights loading maps. A run that was cut off goes on where
   * it stopped.
   *
   * @param dtype type of all but what stays float32: BF16, F32 or F16
   * @throws UserException if the folder can't be written, is too small or holds another model
   */
  Conversion convert(Path target, StorageType dtype, ShardedWriter.Progress progress);

  @Override
  void close();
}
