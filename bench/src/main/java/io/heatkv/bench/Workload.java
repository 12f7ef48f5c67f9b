package io.heatkv.bench;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;

/**
 * What a benchmark draws.
 *
 * @param model whose sizes it has
 * @param grids grids of the scales
 * @param images drawn at once; each takes two rows, for guidance
 * @param policy what is remembered of earlier scales
 * @param repeats timed generations, after one that warms up
 */
public record Workload(
    ModelSizes model, ScaleGrids grids, int images, CachePolicy policy, int repeats) {
  /** Memory that it needs. */
  public MemoryNeed memory(DType dtype, Device device) {
    return model.transformerNeed(kvShape(dtype), policy, device);
  }

  /** Sizes of its cache. */
  public KvShape kvShape(DType dtype) {
    return model.kvShape(images, 2, dtype, grids);
  }

  /** Floating-point operations of a scale's blocks and head, attention to everything included. */
  public double flops(int scale) {
    return model.flops(kvShape(DType.F32), scale);
  }

  /** Operations of all scales. */
  public double flops() {
    return model.flops(kvShape(DType.F32));
  }
}
