package io.heatkv.infinity.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.util.Arrays;
import java.util.Map;

/** What drawing with an Infinity takes of a memory, told from its shapes. */
final class InfinityMemory {
  /** Of a usual prompt. */
  static final int TEXT_TOKENS = 64;

  private InfinityMemory() {}

  /** What a generation needs of the machine's memory. */
  static MemoryEstimate estimate(InfinityDescription model, KvShape shape, CachePolicy policy) {
    DType dtype = shape.dtype();
    Weighed weighed = new Weighed();
    Checkpoint transformer = model.transformerWeights();
    for (String name : transformer.names()) {
      boolean inBlocks = TransformerKeys.isOfBlocks(name) && !TransformerKeys.isWidened(name);
      weighed.add(transformer.entry(name), inBlocks ? dtype : DType.F32);
    }
    Checkpoint vae = model.vaeWeights();
    vae.names().stream()
        .filter(name -> name.startsWith("decoder."))
        .forEach(name -> weighed.add(vae.entry(name), DType.F32));
    T5Config text = model.t5();
    Checkpoint encoder = model.textEncoderWeights();
    T5Encoder.names(text, encoder).stream()
        .flatMap(name -> encoder.find(name).stream())
        .forEach(weighed::addStored);
    long decoding = model.decodingBytes(shape.grids().last(), Device.CPU, shape.dtype());
    return new MemoryEstimate(
        weighed.converted,
        weighed.mapped,
        policy.plan(shape).allBytes(),
        Math.max(textLayer(text), Math.max(blocks(model.transformer(), shape), decoding)));
  }

  /** What a generation needs of a device with memory of its own. */
  static MemoryNeed need(
      InfinityDescription model, KvShape shape, CachePolicy policy, Device device) {
    MemoryEstimate estimate = estimate(model, shape, policy);
    MemoryNeed drawing = transformer(model.transformer(), shape, TEXT_TOKENS, policy, device);
    return new MemoryNeed(
            estimate.weights() + estimate.mapped(), drawing.cache(), drawing.scratch())
        .thenDecoding(
            model.decodingBytes(shape.grids().last(), device, shape.dtype())
                + recorded(model.transformer(), device));
  }

  /**
   * Of a generation with the transformer alone.
   *
   * @param textTokens of a prompt
   */
  static MemoryNeed transformer(
      TransformerConfig config, KvShape shape, int textTokens, CachePolicy policy, Device device) {
    KvPlan plan = policy.plan(shape);
    return new MemoryNeed(
        weights(config, shape.dtype()),
        plan.allBytes(),
        scratch(config, shape, textTokens, plan.copyBytes(), device));
  }

  /** Bytes of all weights, those around the blocks float32. */
  private static long weights(TransformerConfig config, DType dtype) {
    long bytes = 0;
    Map<String, long[]> shapes = TransformerKeys.shapes(config, TransformerKeys.poolHeads(config));
    for (Map.Entry<String, long[]> weight : shapes.entrySet()) {
      String name = weight.getKey();
      boolean inBlocks = TransformerKeys.isOfBlocks(name) && !TransformerKeys.isWidened(name);
      long elements = Arrays.stream(weight.getValue()).reduce(1, Math::multiplyExact);
      bytes += elements * (inBlocks ? dtype : DType.F32).bytes();
    }
    return bytes;
  }

  /**
   * The last scale while a layer attends, or its feed forward: the residual stream in float32, and
   * in the compute type
   *
   * <ul>
   *   <li>attending, the norm, the projection, in which queries, keys and values lie on CUDA and
   *       besides which they are on the CPU, and three outputs of attention (over its own scale,
   *       over earlier ones, both); where keys are joined, keys and values of all scales instead of
   *       two of these, else what a head retained;
   *   <li>feeding forward, the branches read before, the norm, the hidden layer and its output, and
   *       gaps between them, in which the hidden layer has no room: half as much as three of them,
   *       as measured on CUDA.
   * </ul>
   *
   * <p>Besides, what every block knows of the text, the rotary table, and recordings of small
   * scales.
   */
  private static long scratch(
      TransformerConfig config, KvShape shape, int textTokens, long copies, Device device) {
    ScaleGrids grids = shape.grids();
    long rows = shape.batch();
    long tokens = rows * grids.last().tokens();
    long unit = tokens * config.width() * shape.dtype().bytes();
    long stream = tokens * config.width() * DType.F32.bytes();
    long attending =
        device.isCuda()
            ? 7 * unit + copies
            : 8 * unit + 2 * rows * grids.totalTokens() * config.width() * shape.dtype().bytes();
    long feeding = 4 * unit + 3 * unit / 2 + tokens * config.hidden() * shape.dtype().bytes();
    long text = 2 * rows * textTokens * config.width() * config.depth() * shape.dtype().bytes();
    long adaptive = 6 * rows * config.width() * config.depth() * DType.F32.bytes();
    long rotary = 2L * grids.totalTokens() * config.headDim() / 2 * DType.F32.bytes();
    return stream
        + Math.max(attending, feeding)
        + text
        + adaptive
        + rotary
        + recorded(config, device);
  }

  /** Recordings of small scales, which stay as long as the model. */
  static long recorded(TransformerConfig config, Device device) {
    return device.isCuda() ? InfinityTransformer.recordedBytes(config) : 0;
  }

  /** Sums of weights by where they will lie on the CPU. */
  private static final class Weighed {
    private long converted;
    private long mapped;

    void add(TensorEntry entry, DType compute) {
      boolean view = entry.dtype().name().equals(compute.name()) && entry.bytes().isMapped();
      if (view) {
        mapped += entry.bytes().byteSize();
      } else {
        converted += entry.elements() * compute.bytes();
      }
    }

    /** A weight that isn't converted before it is used. */
    void addStored(TensorEntry entry) {
      if (entry.bytes().isMapped()) {
        mapped += entry.bytes().byteSize();
      } else {
        converted += entry.bytes().byteSize();
      }
    }
  }

  /** The matrices of one layer of the text encoder, converted. */
  private static long textLayer(T5Config config) {
    long inner = (long) config.heads() * config.headDim();
    return config.width() * (4 * inner + 3L * config.hidden()) * DType.F32.bytes();
  }

  /**
   * The last scale in one block: residual stream, norms, queries, keys, values and the hidden
   * layer, and the keys and values of all scales joined.
   */
  private static long blocks(TransformerConfig config, KvShape shape) {
    int bytes = shape.dtype().bytes();
    long tokens = (long) shape.batch() * shape.grids().last().tokens();
    long joined = 2L * shape.batch() * shape.grids().totalTokens() * config.width() * bytes;
    return tokens
            * (4L * config.width() * DType.F32.bytes()
                + (5L * config.width() + 2L * config.hidden()) * bytes)
        + joined;
  }
}
