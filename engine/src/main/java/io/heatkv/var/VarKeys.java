package io.heatkv.var;

import io.heatkv.checkpoint.Checkpoint;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Names and shapes of a VAR transformer's weights, as the official state dict has them. */
public final class VarKeys {
  private static final int MOST_BLOCKS = 1024;

  /** Buffer: the scale of every token. */
  public static final String LEVELS = "lvl_1L";

  /** Buffers that nothing reads: what training masks, and zeros. */
  public static final Set<String> UNREAD =
      Stream.concat(
              Stream.of("attn_bias_for_masking"),
              IntStream.range(0, MOST_BLOCKS).mapToObj(i -> block(i) + "attn.zero_k_bias"))
          .collect(Collectors.toUnmodifiableSet());

  private VarKeys() {}

  /** All names with their shapes, buffers left out. */
  public static Map<String, long[]> shapes(VarConfig config) {
    long c = config.width();
    Map<String, long[]> shapes = new TreeMap<>();
    shapes.put("pos_start", new long[] {1, config.grids().tokens(0), c});
    shapes.put("pos_1LC", new long[] {1, config.grids().totalTokens(), c});
    shapes.put("lvl_embed.weight", new long[] {config.grids().count(), c});
    shapes.put("class_emb.weight", new long[] {config.classes() + 1, c});
    linear(shapes, "word_embed", config.channels(), c);
    if (config.sharedAdaptive()) {
      linear(shapes, "shared_ada_lin.1", c, 6 * c);
    }
    for (int i = 0; i < config.depth(); i++) {
      String block = block(i);
      if (config.sharedAdaptive()) {
        shapes.put(block + "ada_gss", new long[] {1, 1, 6, c});
      } else {
        linear(shapes, block + "ada_lin.1", c, 6 * c);
      }
      shapes.put(block + "attn.scale_mul_1H11", new long[] {1, config.heads(), 1, 1});
      shapes.put(block + "attn.mat_qkv.weight", new long[] {3 * c, c});
      shapes.put(block + "attn.q_bias", new long[] {c});
      shapes.put(block + "attn.v_bias", new long[] {c});
      linear(shapes, block + "attn.proj", c, c);
      linear(shapes, block + "ffn.fc1", c, config.hidden());
      linear(shapes, block + "ffn.fc2", config.hidden(), c);
    }
    linear(shapes, "head_nm.ada_lin.1", c, 2 * c);
    linear(shapes, "head", c, config.entries());
    return shapes;
  }

  /** Prefix of a block's names. */
  static String block(int index) {
    return "blocks." + index + ".";
  }

  /** A checkpoint without the state dict's buffers. */
  static Checkpoint weights(Checkpoint checkpoint) {
    return checkpoint.without(UNREAD).without(Set.of(LEVELS));
  }

  /** Whether a weight is used in float32, whatever the compute type. */
  public static boolean isExact(String name) {
    return name.startsWith("pos_")
        || name.equals("lvl_embed.weight")
        || name.equals("class_emb.weight")
        || name.endsWith(".ada_gss")
        || name.endsWith(".scale_mul_1H11");
  }

  private static void linear(Map<String, long[]> shapes, String name, long in, long out) {
    shapes.put(name + ".weight", new long[] {out, in});
    shapes.put(name + ".bias", new long[] {out});
  }
}
