package io.heatkv.var.load;

import io.heatkv.convert.RandomCheckpoint;
import io.heatkv.load.RandomModel;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarConfig;
import io.heatkv.var.VarKeys;
import io.heatkv.var.VarModel;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqKeys;

/** Both networks with random weights. */
record RandomVar(String name, VarConfig config, VqConfig vae) implements VarSizes, RandomModel {
  private static final long SEED = 1;
  // Its last scale takes the kernels for many queries and many keys.
  private static final VarConfig TINY =
      new VarConfig(
          1,
          128,
          2,
          512,
          10,
          VqConfig.PUBLISHED.channels(),
          VqConfig.PUBLISHED.entries(),
          false,
          ScaleGrids.parse("1x1,2x2,4x4,8x8,16x16,24x24"));

  /**
   * Of a published size.
   *
   * @throws io.heatkv.error.UserException if there is none of that name
   */
  static RandomVar of(String size) {
    return new RandomVar(size, PublishedVar.parse(size).config(), VqConfig.PUBLISHED);
  }

  @Override
  public RandomVar tiny() {
    return new RandomVar("tiny", TINY, VqConfig.PUBLISHED);
  }

  @Override
  public VarModel load(Backend backend, Device device, DType dtype) {
    RandomCheckpoint weights = new RandomCheckpoint(VarKeys.shapes(config), SEED);
    RandomCheckpoint pixels = new RandomCheckpoint(VqKeys.shapes(vae), SEED);
    Runnable close =
        () -> {
          weights.close();
          pixels.close();
        };
    try {
      return VarModel.load(name, config, weights, pixels, backend, device, dtype, close);
    } catch (RuntimeException | Error e) {
      close.run();
      throw e;
    }
  }
}
