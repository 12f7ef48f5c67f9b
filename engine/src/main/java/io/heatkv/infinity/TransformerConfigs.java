package io.heatkv.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.nio.file.Path;

/** Where the sizes of a transformer come from: a model.json, or the shapes of its weights. */
public final class TransformerConfigs {
  /** Channels of a head in the published 2B, 8B and 20B. */
  private static final int USUAL_HEAD_DIM = 128;

  private TransformerConfigs() {}

  /**
   * Reads the object {@code transformer} of a model.json.
   *
   * @param bits of a token, from the image tokenizer
   * @throws UserException if a size is missing or an architecture isn't supported
   */
  public static TransformerConfig read(JsonObject json, int bits) {
    requireSupported(json);
    boolean patchify = json.flag("apply_spatial_patchify", false);
    return new TransformerConfig(
        json.size("depth"),
        json.size("embed_dim"),
        json.size("num_heads"),
        json.has("mlp_hidden")
            ? json.size("mlp_hidden")
            : hidden(json.size("embed_dim"), json.number("mlp_ratio", 4)),
        patchify ? 4 * bits : bits,
        json.size("text_channels"),
        json.size("text_maxlen", 512),
        json.size("block_chunks", 1),
        json.flag("cos_attn", true),
        RotaryNormalization.of((int) json.number("rope2d_normalized_by_hw", 2)),
        json.flag("add_lvl_embeding_only_first_block", true),
        patchify);
  }

  /**
   * Puts what a model.json says in the place of what was inferred. Shapes can't be changed by
   * saying so: sizes that they tell must agree.
   *
   * @param json object {@code transformer}, any key of which may be missing
   * @param weights file that was inferred from, for messages
   * @throws UserException naming both sides of a contradiction
   */
  public static TransformerConfig pinned(
      JsonObject json, TransformerConfig inferred, Path weights) {
    requireSupported(json);
    agree(json, "depth", inferred.depth(), weights);
    agree(json, "embed_dim", inferred.width(), weights);
    agree(json, "mlp_hidden", inferred.hidden(), weights);
    agree(json, "text_channels", inferred.textChannels(), weights);
    agree(json, "text_maxlen", inferred.textMaxLength(), weights);
    agree(json, "block_chunks", inferred.chunks(), weights);
    if (inferred.cosineAttention()) {
      agree(json, "num_heads", inferred.heads(), weights);
    }
    return new TransformerConfig(
        inferred.depth(),
        inferred.width(),
        json.size("num_heads", inferred.heads()),
        inferred.hidden(),
        inferred.bits(),
        inferred.textChannels(),
        inferred.textMaxLength(),
        inferred.chunks(),
        json.flag("cos_attn", inferred.cosineAttention()),
        RotaryNormalization.of(
            (int) json.number("rope2d_normalized_by_hw", inferred.rotary().ordinal())),
        json.flag("add_lvl_embeding_only_first_block", inferred.levelEmbeddingOnce()),
        inferred.spatialPatchify());
  }

  private static void agree(JsonObject json, String key, int inferred, Path weights) {
    int said = json.size(key, inferred);
    if (said != inferred) {
      throw new UserException(
          "%s: transformer.%s is %d, but the weights %s have %d; leave it out or name other weights"
              .formatted(json.source(), key, said, weights, inferred));
    }
  }

  private static void requireSupported(JsonObject json) {
    unsupported(json, "rms_norm");
    unsupported(json, "swiglu");
    unsupported(json, "nm0");
    required(json, "shared_aln");
    required(json, "head_aln");
    required(json, "use_bit_label");
    required(json, "rope2d_each_sa_layer");
    if (json.size("head_depth", 1) != 1 || json.number("cross_attn_layer_scale", -1) >= 0) {
      throw new UserException(
          json.source()
              + ": head_depth must be 1 and cross_attn_layer_scale negative, as in all"
              + " published models");
    }
  }

  private static void unsupported(JsonObject json, String key) {
    if (json.flag(key, false)) {
      throw new UserException(
          json.source()
              + ": transformer."
              + key
              + " is set; no published model sets it and this"
              + " engine doesn't support it");
    }
  }

  private static void required(JsonObject json, String key) {
    if (!json.flag(key, true)) {
      throw new UserException(
          json.source()
              + ": transformer."
              + key
              + " is not set; this engine needs it, as all"
              + " published models do");
    }
  }

  /** Channels of the feed-forward layer: {@code round(width * ratio / 256) * 256}. */
  static int hidden(int width, double ratio) {
    return (int) Math.rint(width * ratio / 256) * 256;
  }

  /**
   * Reads the sizes off the shapes of the weights; switches that leave no trace there are those of
   * the published models.
   *
   * @param patchify whether a token holds 2×2 code positions
   * @throws UserException if the file is not an Infinity transformer
   */
  public static TransformerConfig infer(Checkpoint checkpoint, boolean patchify) {
    boolean chunked = checkpoint.find("block_chunks.0.module.0.ada_gss").isPresent();
    int chunks = 1;
    int depth;
    String first;
    if (chunked) {
      chunks = count(checkpoint, "block_chunks.", ".module.0.ada_gss");
      depth = chunks * count(checkpoint, "block_chunks.0.module.", ".ada_gss");
      first = "block_chunks.0.module.0.";
    } else {
      depth = count(checkpoint, "blocks.", ".ada_gss");
      first = "blocks.0.";
    }
    if (depth == 0) {
      throw new UserException(
          checkpoint.path() + ": has no block_chunks or blocks; expected an Infinity transformer");
    }
    boolean cosine = checkpoint.find(first + "sa.scale_mul_1H11").isPresent();
    int width = size(checkpoint, "word_embed.weight", 0);
    return new TransformerConfig(
        depth,
        width,
        cosine
            ? size(checkpoint, first + "sa.scale_mul_1H11", 1)
            : PublishedModel.of(depth, width)
                .map(PublishedModel::heads)
                .orElse(Math.max(1, width / USUAL_HEAD_DIM)),
        size(checkpoint, first + "ffn.fc1.weight", 0),
        size(checkpoint, "word_embed.weight", 1),
        size(checkpoint, "cfg_uncond", 1),
        size(checkpoint, "cfg_uncond", 0),
        chunks,
        cosine,
        RotaryNormalization.ROUNDED,
        true,
        patchify);
  }

  private static int count(Checkpoint checkpoint, String prefix, String suffix) {
    int i = 0;
    while (checkpoint.find(prefix + i + suffix).isPresent()) {
      i++;
    }
    return i;
  }

  private static int size(Checkpoint checkpoint, String name, int dimension) {
    long[] shape = checkpoint.entry(name).shape();
    if (dimension >= shape.length) {
      throw new UserException(
          checkpoint.path()
              + ": tensor "
              + name
              + " has "
              + shape.length
              + " dimensions; expected an Infinity transformer");
    }
    return Math.toIntExact(shape[dimension]);
  }
}
