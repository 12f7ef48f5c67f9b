package io.heatkv.testkit.toy;

import io.heatkv.cache.KvCache;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.family.ScaleObserver;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The weights, and what a transformer of pre-norm blocks computes of them. */
final class ToyNetworks {
  private static final double EPSILON = 1e-6;

  final Weights weights;
  final DType dtype;
  final Tensor one;
  final Tensor classes;
  final Tensor codebook;
  final Linear decoder;
  final Linear encoder;
  private final Tensor scaleEmbedding;
  private final Tensor rowEmbedding;
  private final Tensor columnEmbedding;
  private final Linear code;
  private final List<Block> blocks;
  private final Linear head;

  /**
   * @throws io.heatkv.error.UserException if the weights are not the configuration's
   */
  ToyNetworks(
      ToyConfig config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    KeyCheck.compare(checkpoint, config.shapes()).requireExact();
    this.dtype = dtype;
    weights = new Weights(checkpoint, backend, device);
    one = weights.constant(1);
    classes = weights.get("class_embedding", DType.F32);
    codebook = weights.get("codebook", DType.F32);
    decoder = linear("decoder", DType.F32);
    encoder = linear("encoder", DType.F32);
    scaleEmbedding = weights.get("scale_embedding", DType.F32);
    rowEmbedding = weights.get("row_embedding", DType.F32);
    columnEmbedding = weights.get("column_embedding", DType.F32);
    code = linear("code", DType.F32);
    blocks = IntStream.range(0, config.layers()).mapToObj(i -> block("layers." + i)).toList();
    head = linear("head", DType.F32);
  }

  record Linear(Tensor weight, Tensor bias) {
    Tensor apply(Tensor x) {
      return Ops.linear(x.to(weight.dtype()), weight, bias);
    }
  }

  private record Block(Linear qkv, Linear out, Linear up, Linear down) {}

  private Linear linear(String name, DType type) {
    return new Linear(weights.get(name + ".weight", type), weights.get(name + ".bias", type));
  }

  private Block block(String name) {
    return new Block(
        linear(name + ".qkv", dtype),
        linear(name + ".out", dtype),
        linear(name + ".up", dtype),
        linear(name + ".down", dtype));
  }

  /**
   * Input of block 0: the class, where a token is and, after scale 0, what is drawn so far.
   *
   * @param conditions [rows, width]
   * @param codes [rows, tokens, channels]; null at scale 0
   * @return [rows, tokens, width], float32
   */
  Tensor embed(Tensor conditions, int scale, ScaleSize size, @Nullable Tensor codes) {
    Tensor rows = rowEmbedding.narrow(0, 0, size.height()).unsqueeze(1);
    Tensor columns = columnEmbedding.narrow(0, 0, size.width()).unsqueeze(0);
    Tensor places = rows.add(columns).reshape(size.tokens(), ToyConfig.WIDTH);
    Tensor x = conditions.unsqueeze(1).add(scaleEmbedding.select(0, scale)).add(places);
    return codes == null ? x : x.add(code.apply(codes));
  }

  /**
   * Runs all blocks and the head.
   *
   * @param x [rows, tokens, width], float32
   * @return logits [rows, tokens, entries], float32
   */
  Tensor logits(Tensor x, int scale, KvCache cache, ScaleObserver observer) {
    Tensor stream = x;
    for (int layer = 0; layer < blocks.size(); layer++) {
      Block block = blocks.get(layer);
      Tensor attended = attend(block, normalised(stream), layer, scale, cache);
      observer.selfAttention(layer, scale, attended);
      stream = stream.add(attended);
      Tensor hidden = Ops.gelu(block.up.apply(normalised(stream)));
      stream = stream.add(block.down.apply(hidden));
    }
    return head.apply(normalised(stream));
  }

  private static Tensor normalised(Tensor x) {
    return Ops.layerNorm(x, null, null, EPSILON);
  }

  /** The cache attends; it expects queries that carry the scores' scale. */
  private static Tensor attend(Block block, Tensor x, int layer, int scale, KvCache cache) {
    Tensor parts =
        block
            .qkv
            .apply(x)
            .reshape(x.size(0), x.size(1), 3, ToyConfig.HEADS, ToyConfig.HEAD_DIM)
            .permute(2, 0, 3, 1, 4);
    Tensor query = parts.select(0, 0).mul(1 / Math.sqrt(ToyConfig.HEAD_DIM));
    Tensor heads = cache.attend(layer, scale, query, parts.select(0, 1), parts.select(0, 2));
    return block.out.apply(heads.transpose(1, 2).reshape(x.shape()));
  }
}
