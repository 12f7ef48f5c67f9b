package io.heatkv.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.List;
import java.util.Optional;

/** What a model's sizes tell, whatever its weights. */
public interface ModelSizes {
  /** For people. */
  String name();

  /** Default grids of the scales. */
  ScaleGrids grids();

  /**
   * Grids of pictures of another size. A model that learned its positions offers none but its own.
   *
   * @param resolution in the family's terms; as large as the default ones if empty
   * @param aspect the nearest that the family has is taken; that of the default ones if empty
   * @throws UserException if the model has no such choice, or not this one
   */
  default ScaleGrids grids(Optional<String> resolution, Optional<AspectRatio> aspect) {
    if (resolution.isPresent() || aspect.isPresent()) {
      throw new UserException(
          "model %s has no choice of resolution or aspect ratio; it draws %dx%d pixels over the grids %s"
              .formatted(
                  name(),
                  grids().last().width() * pixelsPerToken(),
                  grids().last().height() * pixelsPerToken(),
                  grids()));
    }
    return grids();
  }

  /** Pixels along an edge of what one token shows. */
  int pixelsPerToken();

  /** The grids of all sizes that it offers; the default ones first. */
  default List<ScaleGrids> offeredGrids() {
    return List.of(grids());
  }

  /**
   * @throws UserException if it can't draw over these grids
   */
  void requireDrawable(ScaleGrids grids);

  /** Default strength of guidance. */
  double cfg();

  /** Default temperature. */
  double tau();

  /** Default nucleus filter. */
  double topP();

  /** How tokens are drawn by default. */
  default SamplingOptions sampling() {
    return SamplingOptions.of(cfg(), tau(), topP());
  }

  /** A prompt that the model can draw, for timings. */
  String example();

  /**
   * Sizes of a cache.
   *
   * @param rowsPerPicture with guidance 2, else 1
   * @param dtype in which keys and values come
   */
  KvShape kvShape(int pictures, int rowsPerPicture, DType dtype, ScaleGrids grids);

  /** Of one picture with guidance: what budgets in bytes refer to. */
  default KvShape kvShape(DType dtype, ScaleGrids grids) {
    return kvShape(1, 2, dtype, grids);
  }

  /** The type in which the transformer's blocks compute unless asked for otherwise. */
  DType computeType(Device device);

  /** What drawing with the transformer alone takes of a device's memory. */
  MemoryNeed transformerNeed(KvShape shape, CachePolicy policy, Device device);

  /** What a generation needs of a device with memory of its own, decoding included. */
  MemoryNeed need(KvShape shape, CachePolicy policy, Device device);

  /**
   * Bytes that decoding one picture takes, or what it shows at a coarser scale.
   *
   * @param dtype compute type
   */
  long decodingBytes(ScaleSize grid, Device device, DType dtype);

  /** Floating-point operations of a scale's transformer, attention to everything included. */
  double flops(KvShape shape, int scale);

  /** As above, of all scales. */
  default double flops(KvShape shape) {
    double sum = 0;
    for (int scale = 0; scale < shape.grids().count(); scale++) {
      sum += flops(shape, scale);
    }
    return sum;
  }

  /**
   * Loads the networks.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file is missing, damaged or of another model
   */
  NextScaleModel load(Backend backend, Device device, DType dtype);
}
