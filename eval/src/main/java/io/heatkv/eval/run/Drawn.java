package io.heatkv.eval.run;

import io.heatkv.cache.KvMemory;
import io.heatkv.eval.BitAgreement;
import io.heatkv.eval.BitDivergence;
import io.heatkv.image.PngImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A batch drawn under one policy.
 *
 * @param prompts of the pictures
 * @param pictures in the order of the batch
 * @param bits of each scale [pictures, tokens, bits], 0 or 1
 * @param divergence of each picture's bits under teacher forcing; none for the full cache
 * @param millis of the transformer for the whole batch
 * @param memory of the cache for the whole batch
 */
public record Drawn(
    List<String> prompts,
    List<PngImage> pictures,
    List<byte[]> bits,
    List<BitDivergence> divergence,
    double millis,
    KvMemory memory) {
  public Drawn {
    prompts = List.copyOf(prompts);
    pictures = List.copyOf(pictures);
    bits = List.copyOf(bits);
    divergence = List.copyOf(divergence);
  }

  /** Share of bits that a picture has in common with another drawing of the batch. */
  public BitAgreement agreement(Drawn other, int picture) {
    return BitAgreement.of(bitsOf(picture), other.bitsOf(picture));
  }

  private List<byte[]> bitsOf(int picture) {
    List<byte[]> own = new ArrayList<>();
    for (byte[] scale : bits) {
      int length = scale.length / pictures.size();
      own.add(Arrays.copyOfRange(scale, picture * length, (picture + 1) * length));
    }
    return own;
  }
}
