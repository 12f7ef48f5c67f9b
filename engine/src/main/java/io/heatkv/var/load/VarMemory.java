package io.heatkv.var.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.sample.CategoricalSampler;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.var.VarConfig;
import io.heatkv.var.VarKeys;
import io.heatkv.var.vae.VqKeys;
import java.util.Arrays;
import java.util.Map;

/** What drawing with a VAR takes of a memory, told from its shapes. */
final class VarMemory {
  private VarMemory() {}

  /** What a generation needs of the machine's memory. */
  static MemoryEstimate estimate(VarDescription model, KvShape shape, CachePolicy policy) {
    long converted = 0;
    long mapped = 0;
    Checkpoint transformer = model.transformerWeights();
    for (String name : transformer.names()) {
      TensorEntry entry = transformer.entry(name);
      DType type = VarKeys.isExact(name) ? DType.F32 : shape.dtype();
      if (entry.dtype().name().equals(type.name()) && entry.bytes().isMapped()) {
        mapped += entry.bytes().byteSize();
      } else {
        converted += entry.elements() * type.bytes();
      }
    }
    for (long[] weight : VqKeys.decoder(model.vae()).values()) {
      converted += count(weight) * Float.BYTES;
    }
    KvPlan plan = policy.plan(shape);
    long drawing = scratch(model.config(), shape, plan.copyBytes(), Device.CPU);
    return new MemoryEstimate(
        converted,
        mapped,
        plan.allBytes(),
        Math.max(drawing, model.decodingBytes(shape.grids().last(), Device.CPU, shape.dtype())));
  }

  /** Of a generation on a device, its pictures' decoding included. */
  static MemoryNeed need(VarSizes model, KvShape shape, CachePolicy policy, Device device) {
    return drawing(model, shape, policy, device)
        .thenDecoding(model.decodingBytes(shape.grids().last(), device, shape.dtype()));
  }

  /** The same without decoding; the decoder's weights are there all the same. */
  static MemoryNeed drawing(VarSizes model, KvShape shape, CachePolicy policy, Device device) {
    long weights = 0;
    for (Map.Entry<String, long[]> weight : VarKeys.shapes(model.config()).entrySet()) {
      DType type = VarKeys.isExact(weight.getKey()) ? DType.F32 : shape.dtype();
      weights += count(weight.getValue()) * type.bytes();
    }
    for (long[] weight : VqKeys.decoder(model.vae()).values()) {
      weights += count(weight) * shape.dtype().bytes();
    }
    KvPlan plan = policy.plan(shape);
    return new MemoryNeed(
        weights, plan.allBytes(), scratch(model.config(), shape, plan.copyBytes(), device));
  }

  private static long count(long[] shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  /**
   * The last scale while a layer attends or feeds forward, as an Infinity's, or while its tokens
   * are drawn: the residual stream in float32, and in the compute type
   *
   * <ul>
   *   <li>attending, eight tensors of the stream's size and keys and values of all scales where
   *       they are joined, else seven and what a head retained;
   *   <li>feeding forward, four of these and the hidden layer;
   *   <li>drawing, the logits in the compute type and in float32, with guidance, and what filters
   *       and sums make of a part of them.
   * </ul>
   *
   * <p>Besides, the adaptive parameters of all layers.
   */
  private static long scratch(VarConfig config, KvShape shape, long copies, Device device) {
    ScaleGrids grids = shape.grids();
    long rows = shape.batch();
    long tokens = rows * grids.last().tokens();
    long bytes = shape.dtype().bytes();
    long unit = tokens * config.width() * bytes;
    long attending =
        device.isCuda()
            ? 7 * unit + copies
            : 8 * unit + 2 * rows * grids.totalTokens() * config.width() * bytes;
    long feeding = 4 * unit + tokens * config.hidden() * bytes;
    long logits = tokens * config.entries();
    long guided = logits / shape.pictureRows();
    long choosing =
        logits * (bytes + Float.BYTES)
            + guided * Float.BYTES
            + Math.min(guided, CategoricalSampler.AT_ONCE) * CategoricalSampler.BYTES_A_CHOICE;
    long adaptive = 6 * rows * config.width() * config.depth() * Float.BYTES;
    long stream = tokens * config.width() * Float.BYTES;
    return stream + adaptive + Math.max(choosing, Math.max(attending, feeding));
  }
}
