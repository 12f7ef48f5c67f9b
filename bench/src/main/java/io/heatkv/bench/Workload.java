package io.heatkv.bench;

import io.heatkv.MemoryNeed;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;

/**
 * What a benchmark draws.
 *
 * @param transformer sizes of the model
 * @param schedule grids of the scales
 * @param images drawn at once; each takes two rows, for guidance
 * @param textTokens of every prompt
 * @param policy what is remembered of earlier scales
 * @param repeats timed generations, after one that warms up
 */
public record Workload(
    TransformerConfig transformer,
    ScaleSchedule schedule,
    int images,
    int textTokens,
    CachePolicy policy,
    int repeats) {
  /** Memory that it needs. */
  public MemoryNeed memory(DType dtype, Device device) {
    return MemoryNeed.ofTransformer(
        transformer, schedule, rows(), textTokens, policy, dtype, device);
  }

  /** Sizes of its cache. */
  public KvShape kvShape(DType dtype) {
    return new KvShape(
        transformer.depth(),
        rows(),
        2,
        transformer.heads(),
        transformer.headDim(),
        dtype,
        schedule);
  }

  /** Rows of the batch. */
  public int rows() {
    return 2 * images;
  }

  /** Floating-point operations of a scale's blocks and head, attention to everything included. */
  public double flops(int scale) {
    double width = transformer.width();
    double tokens = schedule.tokens(scale);
    double seen = schedule.offset(scale) + tokens;
    // Query, key, value, their projection, the text's query and projection: 6 width^2 a token.
    double products = 6 * width * width + 2 * width * transformer.hidden();
    double attention = 2 * width * (seen + textTokens);
    double head = 2 * width * transformer.bits();
    return 2 * rows() * tokens * (transformer.depth() * (products + attention) + head);
  }

  /** Operations of all scales. */
  public double flops() {
    double sum = 0;
    for (int t = 0; t < schedule.count(); t++) {
      sum += flops(t);
    }
    return sum;
  }
}
