package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelShape;
import io.heatkv.tensor.DType;

/**
 * Sizes that determine the memory of a cache.
 *
 * @param layers self-attention layers
 * @param batch rows of all pictures; those of one picture lie together
 * @param pictureRows rows of one picture: the conditional and the unconditional one under guidance,
 *     else one
 * @param heads heads of a layer
 * @param headDim channels of a head
 * @param dtype in which keys and values come and are attended to
 * @param grids tokens of each scale
 */
public record KvShape(
    int layers, int batch, int pictureRows, int heads, int headDim, DType dtype, ScaleGrids grids) {
  public KvShape {
    if (pictureRows < 1 || batch % pictureRows != 0) {
      throw new IllegalArgumentException(batch + " rows aren't pictures of " + pictureRows);
    }
  }

  /** Bytes of the key and value of one token in one head of one layer, all rows. */
  public long bytesPerHeadToken() {
    return KvStorage.NATIVE.bytesPerHeadToken(this);
  }

  /** Bytes of the full cache: all scales but the last, in the compute type. */
  public long fullBytes() {
    return bytesPerHeadToken() * layers * heads * grids.cachedTokens();
  }

  /** Bytes of a budget of 1, which counts 2 bytes a number in any type. */
  public long budgetBytes() {
    return 4L * batch * headDim * layers * heads * grids.cachedTokens();
  }

  /**
   * A budget as it counts here: a size that holds the full cache in 16 bits but not in its own type
   * is not all of it.
   */
  public Budget counted(Budget budget) {
    return budget instanceof Budget.Bytes(long count)
            && count >= budgetBytes()
            && count < fullBytes()
        ? new Budget.Ratio(Math.nextDown(1.0))
        : budget;
  }

  /** A budget as a ratio of the full cache. */
  public double ratio(Budget budget) {
    return counted(budget).ratio(budgetBytes());
  }

  /**
   * The sizes that plans in bytes depend on; a budget in bytes refers to all rows.
   *
   * @param sinkScales first scales, which rules that keep or drop always keep
   */
  public LevelShape levelShape(int sinkScales) {
    return LevelShape.of(layers, heads, headDim, batch, grids, sinkScales);
  }
}
