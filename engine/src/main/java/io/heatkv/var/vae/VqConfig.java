package io.heatkv.var.vae;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Sizes of a VQVAE.
 *
 * @param entries of the codebook (vocab_size)
 * @param channels of a code (z_channels)
 * @param baseChannels of the finest level (ch)
 * @param multipliers channels of each level over the base, finest first
 * @param blocks residual blocks of an encoder level; a decoder level has one more
 */
public record VqConfig(
    int entries, int channels, int baseChannels, List<Integer> multipliers, int blocks) {
  /** vae_ch160v4096z32.pth, which all published transformers share. */
  public static final VqConfig PUBLISHED = new VqConfig(4096, 32, 160, List.of(1, 1, 2, 2, 4), 2);

  public VqConfig {
    multipliers = List.copyOf(multipliers);
  }

  /**
   * Reads the sizes off the shapes of the weights.
   *
   * @throws UserException if they are not those of a VQVAE
   */
  public static VqConfig infer(Checkpoint checkpoint) {
    long[] codebook = shape(checkpoint, VqKeys.CODEBOOK, 2);
    int base = Math.toIntExact(shape(checkpoint, "decoder.conv_out.weight", 4)[1]);
    List<Integer> multipliers = new ArrayList<>();
    while (checkpoint.find(first(multipliers.size(), 0)).isPresent()) {
      long channels = shape(checkpoint, first(multipliers.size(), 0), 4)[0];
      multipliers.add(Math.toIntExact(channels / Math.max(1, base)));
    }
    int blocks = 0;
    while (checkpoint.find(first(0, blocks)).isPresent()) {
      blocks++;
    }
    if (blocks < 2) {
      throw new UserException(
          checkpoint.path()
              + ": has no decoder.up blocks; expected the weights of a VQVAE, such as"
              + " vae_ch160v4096z32.pth");
    }
    return new VqConfig(
        Math.toIntExact(codebook[0]), Math.toIntExact(codebook[1]), base, multipliers, blocks - 1);
  }

  /** Image pixels of one code along an axis: every level but the coarsest doubles them. */
  public int stride() {
    return 1 << (multipliers.size() - 1);
  }

  /** Whether a codebook of that many entries of that many channels is this one. */
  public boolean isCodebook(int others, int codeChannels) {
    return entries == others && channels == codeChannels;
  }

  /**
   * @param others entries of the codebook that a transformer draws from
   * @param codeChannels of each
   * @param own file of this tokenizer, for the message
   * @param transformer its file, likewise
   * @throws UserException if this is another codebook
   */
  public void requireCodebook(int others, int codeChannels, Path own, Path transformer) {
    if (!isCodebook(others, codeChannels)) {
      throw new UserException(
          "%s: has a codebook of %d entries of %d channels, but transformer %s draws from %d of %d; they belong to different models"
              .formatted(own, entries, channels, transformer, others, codeChannels));
    }
  }

  private static String first(int level, int block) {
    return "decoder.up." + level + ".block." + block + ".conv1.weight";
  }

  private static long[] shape(Checkpoint checkpoint, String name, int rank) {
    long[] shape = checkpoint.entry(name).shape();
    if (shape.length != rank) {
      throw new UserException(
          "%s: tensor %s has %d dimensions; expected %d"
              .formatted(checkpoint.path(), name, shape.length, rank));
    }
    return shape;
  }
}
