package io.heatkv.infinity;

import io.heatkv.error.UserException;

/**
 * Sizes and switches of an Infinity transformer.
 *
 * @param depth number of blocks
 * @param width channels of a token (embed_dim)
 * @param heads attention heads
 * @param hidden channels of the feed-forward layer
 * @param bits bits of a token: code channels, four times as many with spatial patchify
 * @param textChannels channels of the text features
 * @param textMaxLength longest prompt in text tokens
 * @param chunks blocks are stored in this many groups (block_chunks)
 * @param cosineAttention L2-normalised queries and keys with a learned scale a head
 * @param rotary how rotary positions are normalised (rope2d_normalized_by_hw)
 * @param levelEmbeddingOnce level embedding before block 0 only, else before every chunk
 * @param spatialPatchify a token holds 2×2 code positions
 */
public record TransformerConfig(
    int depth,
    int width,
    int heads,
    int hidden,
    int bits,
    int textChannels,
    int textMaxLength,
    int chunks,
    boolean cosineAttention,
    RotaryNormalization rotary,
    boolean levelEmbeddingOnce,
    boolean spatialPatchify) {
  public TransformerConfig {
    if (depth < 1 || chunks < 1 || depth % chunks != 0) {
      throw new UserException(
          "transformer depth %d doesn't divide into %d chunks".formatted(depth, chunks));
    }
    if (heads < 1 || width % heads != 0 || width / heads % 4 != 0) {
      throw new UserException(
          "transformer width %d doesn't divide into %d heads of a multiple of 4 channels"
              .formatted(width, heads));
    }
  }

  /** Channels of a head. */
  public int headDim() {
    return width / heads;
  }

  /** Epsilon of all norms. */
  public double epsilon() {
    return 1e-6;
  }
}
