package io.heatkv.text;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The encoder of T5 v1.1 (Flan-T5): relative position bias, RMS norm, gated GELU, no biases.
 *
 * <p>Prompts run one by one without padding, which equals the padded and masked run. Matrices stay
 * in the type in which they are stored, on the CPU as views of the mapped file, and are converted
 * layer by layer: a prompt reads each of them once, so keeping a converted copy would gain nothing.
 */
public final class T5Encoder implements AutoCloseable {
  private static final String EMBEDDING = "shared.weight";
  private static final String TIED_EMBEDDING = "encoder.embed_tokens.weight";

  private final T5Config config;
  private final DType dtype;
  private final Weights weights;
  private final Tensor embedding;
  private final Tensor positions;
  private final Tensor finalNorm;
  private final List<Layer> layers = new ArrayList<>();

  private record Layer(
      Tensor attentionNorm,
      Tensor query,
      Tensor key,
      Tensor value,
      Tensor out,
      Tensor feedForwardNorm,
      Tensor gate,
      Tensor up,
      Tensor down) {}

  /**
   * Takes the weights from {@code checkpoint}, which must stay open meanwhile.
   *
   * @param dtype compute type
   * @throws io.heatkv.error.UserException if a weight is missing or of another shape
   */
  public T5Encoder(
      T5Config config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    this.config = config;
    this.dtype = dtype;
    String embeddingName = embeddingName(checkpoint);
    Map<String, long[]> expected = shapes(config);
    expected.put(embeddingName, expected.remove(EMBEDDING));
    KeyCheck.compare(checkpoint, expected).requirePresent();
    weights = new Weights(checkpoint, backend, device);
    try {
      embedding = weights.stored(embeddingName);
      positions = weights.get(block(0, 0) + "SelfAttention.relative_attention_bias.weight", dtype);
      finalNorm = weights.get("encoder.final_layer_norm.weight", DType.F32);
      for (int i = 0; i < config.layers(); i++) {
        String attention = block(i, 0);
        String feedForward = block(i, 1);
        layers.add(
            new Layer(
                weights.get(attention + "layer_norm.weight", DType.F32),
                weights.storedLater(attention + "SelfAttention.q.weight"),
                weights.storedLater(attention + "SelfAttention.k.weight"),
                weights.storedLater(attention + "SelfAttention.v.weight"),
                weights.storedLater(attention + "SelfAttention.o.weight"),
                weights.get(feedForward + "layer_norm.weight", DType.F32),
                weights.storedLater(feedForward + "DenseReluDense.wi_0.weight"),
                weights.storedLater(feedForward + "DenseReluDense.wi_1.weight"),
                weights.storedLater(feedForward + "DenseReluDense.wo.weight")));
      }
      weights.await();
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  /** Both names hold the same tensor; some files keep only the second. */
  private static String embeddingName(Checkpoint checkpoint) {
    boolean onlyTied =
        checkpoint.find(EMBEDDING).isEmpty() && checkpoint.find(TIED_EMBEDDING).isPresent();
    return onlyTied ? TIED_EMBEDDING : EMBEDDING;
  }

  /** Names of the weights that this encoder takes from a checkpoint, of all that T5 has. */
  public static Set<String> names(T5Config config, Checkpoint checkpoint) {
    Set<String> names = new TreeSet<>(shapes(config).keySet());
    names.remove(EMBEDDING);
    names.add(embeddingName(checkpoint));
    return names;
  }

  private static String block(int layer, int part) {
    return "encoder.block." + layer + ".layer." + part + ".";
  }

  /** Names and shapes of the weights, as Hugging Face's T5EncoderModel stores them. */
  public static Map<String, long[]> shapes(T5Config config) {
    long inner = (long) config.heads() * config.headDim();
    Map<String, long[]> shapes = new TreeMap<>();
    shapes.put(EMBEDDING, new long[] {config.vocabulary(), config.width()});
    shapes.put("encoder.final_layer_norm.weight", new long[] {config.width()});
    shapes.put(
        block(0, 0) + "SelfAttention.relative_attention_bias.weight",
        new long[] {config.buckets(), config.heads()});
    for (int i = 0; i < config.layers(); i++) {
      for (String name : List.of("q", "k", "v")) {
        shapes.put(
            block(i, 0) + "SelfAttention." + name + ".weight", new long[] {inner, config.width()});
      }
      shapes.put(block(i, 0) + "SelfAttention.o.weight", new long[] {config.width(), inner});
      shapes.put(block(i, 0) + "layer_norm.weight", new long[] {config.width()});
      shapes.put(block(i, 1) + "layer_norm.weight", new long[] {config.width()});
      for (String name : List.of("wi_0", "wi_1")) {
        shapes.put(
            block(i, 1) + "DenseReluDense." + name + ".weight",
            new long[] {config.hidden(), config.width()});
      }
      shapes.put(
          block(i, 1) + "DenseReluDense.wo.weight", new long[] {config.width(), config.hidden()});
    }
    return shapes;
  }

  /** Sizes of the encoder. */
  public T5Config config() {
    return config;
  }

  /**
   * Encodes one prompt.
   *
   * @param ids token ids, end token included
   * @return features [tokens, width], float32
   */
  public Tensor encode(int[] ids) {
    Backend backend = weights.backend();
    try (Scope scope = Scope.open()) {
      Tensor x =
          Ops.embedding(embedding, Tensor.of(backend, ids, ids.length).to(weights.device()))
              .to(DType.F32);
      Tensor bias = positionBias(ids.length);
      for (Layer layer : layers) {
        try (Scope inner = Scope.open()) {
          Tensor attended = x.add(attend(normed(x, layer.attentionNorm), layer, bias));
          Tensor y = normed(attended, layer.feedForwardNorm);
          Tensor gated = Ops.gelu(linear(y, layer.gate)).mul(linear(y, layer.up));
          x = inner.keep(attended.add(linear(gated, layer.down)));
        }
      }
      return scope.keep(Ops.rmsNorm(x, finalNorm, config.epsilon()));
    }
  }

  private Tensor normed(Tensor x, Tensor weight) {
    return Ops.rmsNorm(x, weight, config.epsilon()).to(dtype);
  }

  private Tensor attend(Tensor x, Layer layer, Tensor bias) {
    long tokens = x.size(0);
    // T5 doesn't scale its scores.
    Tensor attended =
        Ops.attention(
            heads(linear(x, layer.query)),
            heads(linear(x, layer.key)),
            heads(linear(x, layer.value)),
            bias,
            1);
    return linear(attended.select(0, 0).transpose(0, 1).reshape(tokens, -1), layer.out);
  }

  /** The product in the compute type. */
  private Tensor linear(Tensor x, Tensor stored) {
    return Ops.linear(x, stored.to(dtype), null);
  }

  /** [tokens, heads * head_dim] to [1, heads, tokens, head_dim]. */
  private Tensor heads(Tensor x) {
    return x.reshape(1, x.size(0), config.heads(), config.headDim()).transpose(1, 2);
  }

  /** Bias of every query and key [1, heads, tokens, tokens]. */
  public Tensor positionBias(int tokens) {
    long[] buckets = new long[tokens * tokens];
    for (int query = 0; query < tokens; query++) {
      for (int key = 0; key < tokens; key++) {
        buckets[query * tokens + key] = bucket(key - query);
      }
    }
    return Ops.embedding(
            positions, Tensor.of(weights.backend(), buckets, tokens, tokens).to(weights.device()))
        .permute(2, 0, 1)
        .unsqueeze(0)
        .contiguous();
  }

  /**
   * Bucket of a distance, keys behind the query in the lower half: near ones one by one, far ones
   * logarithmically (T5Attention._relative_position_bucket, bidirectional).
   */
  private int bucket(int distance) {
    int half = config.buckets() / 2;
    int exact = half / 2;
    int offset = distance > 0 ? half : 0;
    int away = Math.abs(distance);
    if (away < exact) {
      return offset + away;
    }
    // Float32 as in the reference, so that distances on a border fall alike.
    float logarithm =
        (float) Math.log((float) away / exact)
            / (float) Math.log((double) config.maxDistance() / exact)
            * (half - exact);
    return offset + Math.min(exact + (int) logarithm, half - 1);
  }

  @Override
  public void close() {
    weights.close();
  }
}
