package io.heatkv.cache;

import io.heatkv.scale.ScaleSchedule;
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
 * @param schedule tokens of each scale
 */
public record KvShape(
    int layers,
    int batch,
    int pictureRows,
    int heads,
    int headDim,
    DType dtype,
    ScaleSchedule schedule) {
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
    return bytesPerHeadToken() * layers * heads * schedule.cachedTokens();
  }
}
