package io.heatkv.infinity.vae;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import java.util.ArrayList;
import java.util.List;

/**
 * Sizes of a BSQ-VAE.
 *
 * @param channels of a code (codebook_dim)
 * @param baseChannels of the finest level
 * @param decoderMultipliers channels of each level over the base, finest first
 * @param encoderMultipliers likewise; empty if the file has no encoder
 * @param blocks residual blocks of an encoder level; a decoder level has one more
 * @param stride image pixels of one code position along an axis
 */
public record VaeConfig(
    int channels,
    int baseChannels,
    List<Integer> decoderMultipliers,
    List<Integer> encoderMultipliers,
    int blocks,
    int stride) {
  public VaeConfig {
    decoderMultipliers = List.copyOf(decoderMultipliers);
    encoderMultipliers = List.copyOf(encoderMultipliers);
  }

  /**
   * Reads the sizes off the shapes of the weights.
   *
   * @throws UserException if they are not those of a BSQ-VAE
   */
  public static VaeConfig infer(Checkpoint checkpoint) {
    long[] in = shape(checkpoint, "decoder.conv_in.conv.weight", 4);
    long[] out = shape(checkpoint, "decoder.conv_out.conv.weight", 4);
    int base = Math.toIntExact(out[1]);
    int blocks = count(checkpoint, "decoder.up.0.block.", ".conv1.conv.weight") - 1;
    int stride = 1 << count(checkpoint, "decoder.up.", ".upsample.conv.conv.weight", 1);
    List<Integer> decoder = new ArrayList<>();
    List<Integer> encoder = new ArrayList<>();
    for (int i = 0; checkpoint.find(first("decoder.up.", i)).isPresent(); i++) {
      decoder.add(Math.toIntExact(shape(checkpoint, first("decoder.up.", i), 4)[0] / base));
    }
    for (int i = 0; checkpoint.find(first("encoder.down.", i)).isPresent(); i++) {
      encoder.add(Math.toIntExact(shape(checkpoint, first("encoder.down.", i), 4)[0] / base));
    }
    if (blocks < 1 || decoder.isEmpty()) {
      throw new UserException(
          checkpoint.path() + ": has no decoder.up blocks; expected the weights of a BSQ-VAE");
    }
    return new VaeConfig(Math.toIntExact(in[1]), base, decoder, encoder, blocks, stride);
  }

  /**
   * The published tokenizers (load_visual_tokenizer of tools/run_infinity.py).
   *
   * @param channels of a code
   * @param patchify whether the transformer draws patches of 2x2 positions, each half as wide
   */
  public static VaeConfig published(int channels, boolean patchify) {
    List<Integer> multipliers = patchify ? List.of(1, 2, 4, 4) : List.of(1, 2, 4, 4, 4);
    return new VaeConfig(channels, 128, multipliers, multipliers, 2, patchify ? 8 : 16);
  }

  /** How many levels halve the picture. */
  int halvings() {
    return Integer.numberOfTrailingZeros(stride);
  }

  private static String first(String prefix, int level) {
    return prefix + level + ".block.0.conv1.conv.weight";
  }

  private static long[] shape(Checkpoint checkpoint, String name, int rank) {
    TensorEntry entry = checkpoint.entry(name);
    if (entry.shape().length != rank) {
      throw new UserException(
          checkpoint.path()
              + ": tensor "
              + name
              + " has "
              + entry.shape().length
              + " dimensions; expected "
              + rank);
    }
    return entry.shape();
  }

  private static int count(Checkpoint checkpoint, String prefix, String suffix) {
    return count(checkpoint, prefix, suffix, 0);
  }

  private static int count(Checkpoint checkpoint, String prefix, String suffix, int from) {
    int i = from;
    while (checkpoint.find(prefix + i + suffix).isPresent()) {
      i++;
    }
    return i - from;
  }
}
