package io.heatkv.cache;

import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;

/**
 * Sizes that determine the memory of a cache.
 *
 * @param layers self-attention layers
 * @param batch rows, both guidance halves counted
 * @param heads heads of a layer
 * @param headDim channels of a head
 * @param dtype of stored keys and values
 * @param schedule tokens of each scale
 */
public record KvShape(
    int layers, int batch, int heads, int headDim, DType dtype, ScaleSchedule schedule) {
  /** Bytes of the key and value of one token in one head of one layer, all rows. */
  public long bytesPerHeadToken() {
    return 2L * batch * headDim * dtype.bytes();
  }

  /** Bytes of everything that later scales can attend to: all scales but the last. */
  public long fullBytes() {
    return bytesPerHeadToken() * layers * heads * schedule.cachedTokens();
  }
}
