package io.heatkv.text;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.nio.file.Path;

/**
 * Sizes of a T5 v1.1 encoder, from Hugging Face's config.json.
 *
 * @param vocabulary token ids
 * @param width channels (d_model)
 * @param headDim channels of a head (d_kv)
 * @param hidden channels of the gated feed-forward layer (d_ff)
 * @param layers number of blocks
 * @param heads attention heads
 * @param buckets of relative positions
 * @param maxDistance beyond which positions share the last bucket
 * @param epsilon of the RMS norms
 */
public record T5Config(
    int vocabulary,
    int width,
    int headDim,
    int hidden,
    int layers,
    int heads,
    int buckets,
    int maxDistance,
    double epsilon) {
  /** The text encoder of all published Infinity models: the encoder of google/flan-t5-xl. */
  public static final T5Config FLAN_T5_XL =
      new T5Config(32128, 2048, 64, 5120, 24, 32, 32, 128, 1e-6);

  /**
   * Reads a config.json.
   *
   * @throws UserException if it is missing, not JSON, lacks a size, or names another architecture
   */
  public static T5Config read(Path file) {
    JsonObject values = JsonObject.read(file);
    String form = values.optionalText("feed_forward_proj").orElse("relu");
    if (!form.equals("gated-gelu")) {
      throw new UserException(
          file + ": feed_forward_proj is " + form + "; expected gated-gelu, a T5 v1.1 encoder");
    }
    return new T5Config(
        values.size("vocab_size"),
        values.size("d_model"),
        values.size("d_kv"),
        values.size("d_ff"),
        values.size("num_layers"),
        values.size("num_heads"),
        values.size("relative_attention_num_buckets", 32),
        values.size("relative_attention_max_distance", 128),
        values.number("layer_norm_epsilon", 1e-6));
  }
}
