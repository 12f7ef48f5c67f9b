package io.heatkv.testkit.toy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.Arrays;

/** What the sizes tell. */
sealed interface ToySizes extends ModelSizes permits ToyDescription, ToyRandom {
  ToyConfig config();

  @Override
  default ScaleGrids grids() {
    return ToyConfig.SCALES;
  }

  @Override
  default int pixelsPerToken() {
    return ToyConfig.STRIDE;
  }

  @Override
  default void requireDrawable(ScaleGrids grids) {
    ToyConfig.requireDrawable(grids);
  }

  @Override
  default double cfg() {
    return 3;
  }

  @Override
  default double tau() {
    return 0.9;
  }

  @Override
  default double topP() {
    return 0.97;
  }

  @Override
  default String example() {
    return ToyConfig.CLASSES.getFirst();
  }

  @Override
  default KvShape kvShape(int pictures, int rowsPerPicture, DType dtype, ScaleGrids grids) {
    return new KvShape(
        config().layers(),
        pictures * rowsPerPicture,
        rowsPerPicture,
        ToyConfig.HEADS,
        ToyConfig.HEAD_DIM,
        dtype,
        grids);
  }

  @Override
  default DType computeType(Device device) {
    return DType.F32;
  }

  @Override
  default MemoryNeed transformerNeed(KvShape shape, CachePolicy policy, Device device) {
    long weights =
        config().shapes().values().stream()
            .mapToLong(each -> Arrays.stream(each).reduce(1, Math::multiplyExact) * Float.BYTES)
            .sum();
    long stream = (long) shape.batch() * shape.grids().last().tokens() * ToyConfig.WIDTH;
    return new MemoryNeed(weights, policy.plan(shape).bytes(), 16 * stream * Float.BYTES);
  }

  @Override
  default MemoryNeed need(KvShape shape, CachePolicy policy, Device device) {
    return transformerNeed(shape, policy, device)
        .thenDecoding(decodingBytes(shape.grids().last(), device, shape.dtype()));
  }

  /** Codes and three colours of every pixel. */
  @Override
  default long decodingBytes(ScaleSize grid, Device device, DType dtype) {
    long colours = 3L * pixelsPerToken() * pixelsPerToken();
    return (ToyConfig.CHANNELS + 2 * colours) * grid.tokens() * Float.BYTES;
  }

  /** A token is multiplied by 8 width² a layer, and attends to all before it. */
  @Override
  default double flops(KvShape shape, int scale) {
    double tokens = shape.grids().tokens(scale);
    double seen = shape.grids().offset(scale) + tokens;
    double layer = 8.0 * ToyConfig.WIDTH * ToyConfig.WIDTH + 2 * ToyConfig.WIDTH * seen;
    return 2 * shape.batch() * tokens * config().layers() * layer;
  }
}
