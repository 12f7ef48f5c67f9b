package io.heatkv.infinity;

import io.heatkv.checkpoint.Checkpoint;
import java.util.Map;
import java.util.TreeMap;

/** Names and shapes of an Infinity transformer's weights, as the official state dict has them. */
public final class TransformerKeys {
  /** The learned embedding of each scale. */
  public static final String SCALES = "lvl_embed.weight";

  /** Scales that the published sizes learned. */
  public static final int MAX_SCALES = 15;

  private TransformerKeys() {}

  /** Prefix of block {@code index}, such as {@code block_chunks.1.module.3.}. */
  public static String block(TransformerConfig config, int index) {
    int size = config.depth() / config.chunks();
    return config.chunks() == 1
        ? "blocks." + index + "."
        : "block_chunks." + index / size + ".module." + index % size + ".";
  }

  /**
   * All names with their shapes.
   *
   * @param poolHeads heads of the attention pool over the text
   */
  public static Map<String, long[]> shapes(TransformerConfig config, int poolHeads) {
    long c = config.width();
    long text = config.textChannels();
    Map<String, long[]> shapes = new TreeMap<>();
    put(shapes, "cfg_uncond", config.textMaxLength(), text);
    put(shapes, "text_norm.weight", text);
    put(shapes, "text_proj_for_sos.ca.mat_q", 1, poolHeads, c / poolHeads);
    crossAttention(shapes, "text_proj_for_sos.ca.", text, c);
    linear(shapes, "text_proj_for_ca.0", text, c);
    linear(shapes, "text_proj_for_ca.2", c, c);
    put(shapes, "pos_start", 1, 1, c);
    put(shapes, SCALES, MAX_SCALES, c);
    linear(shapes, "word_embed", config.bits(), c);
    linear(shapes, "shared_ada_lin.1", c, 6 * c);
    for (int i = 0; i < config.depth(); i++) {
      block(shapes, block(config, i), config);
    }
    linear(shapes, "head_nm.ada_lin.1", c, 2 * c);
    linear(shapes, "head", c, 2L * config.bits());
    return shapes;
  }

  private static void block(Map<String, long[]> shapes, String prefix, TransformerConfig config) {
    long c = config.width();
    put(shapes, prefix + "ada_gss", 1, 1, 6, c);
    put(shapes, prefix + "sa.mat_qkv.weight", 3 * c, c);
    put(shapes, prefix + "sa.q_bias", c);
    put(shapes, prefix + "sa.v_bias", c);
    put(shapes, prefix + "sa.zero_k_bias", c);
    if (config.cosineAttention()) {
      put(shapes, prefix + "sa.scale_mul_1H11", 1, config.heads(), 1, 1);
    }
    linear(shapes, prefix + "sa.proj", c, c);
    linear(shapes, prefix + "ca.mat_q", c, c);
    crossAttention(shapes, prefix + "ca.", c, c);
    put(shapes, prefix + "ca_norm.weight", c);
    put(shapes, prefix + "ca_norm.bias", c);
    linear(shapes, prefix + "ffn.fc1", c, config.hidden());
    linear(shapes, prefix + "ffn.fc2", config.hidden(), c);
  }

  private static void crossAttention(
      Map<String, long[]> shapes, String prefix, long keyWidth, long width) {
    put(shapes, prefix + "mat_kv.weight", 2 * width, keyWidth);
    put(shapes, prefix + "v_bias", width);
    put(shapes, prefix + "zero_k_bias", width);
    linear(shapes, prefix + "proj", width, width);
  }

  private static void linear(Map<String, long[]> shapes, String name, long in, long out) {
    put(shapes, name + ".weight", out, in);
    put(shapes, name + ".bias", out);
  }

  private static void put(Map<String, long[]> shapes, String name, long... shape) {
    shapes.put(name, shape);
  }

  /** Heads of the attention pool in a new model (TextAttentivePool). */
  public static int poolHeads(TransformerConfig config) {
    return Math.max(1, config.textChannels() / (config.width() > 4096 ? 64 : 128));
  }

  /**
   * Whether a weight belongs to a block, whose weights all take the compute type, as the official
   * {@code block.bfloat16()} does; those around the blocks stay float32.
   */
  public static boolean isOfBlocks(String name) {
    return name.startsWith("block_chunks.") || name.startsWith("blocks.");
  }

  /** Whether a weight of a block is used in float32, after rounding to the compute type. */
  public static boolean isWidened(String name) {
    return name.endsWith(".ada_gss")
        || name.endsWith(".sa.scale_mul_1H11")
        || name.contains(".ca_norm.");
  }

  /** Heads of the attention pool, which only its query's shape tells. */
  static int poolHeads(Checkpoint checkpoint) {
    long[] shape = checkpoint.entry("text_proj_for_sos.ca.mat_q").shape();
    return shape.length == 3 && shape[1] > 0 ? Math.toIntExact(shape[1]) : 1;
  }
}
