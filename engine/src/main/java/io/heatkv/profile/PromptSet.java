package io.heatkv.profile;

import io.heatkv.error.UserException;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Comparator;
import java.util.List;

/**
 * Prompts of one calibration, known by their hash.
 *
 * @param sha256 64 lower-case hexadecimal digits
 * @param prompts their number
 */
public record PromptSet(String sha256, int prompts) implements Comparable<PromptSet> {
  private static final Comparator<PromptSet> ORDER =
      Comparator.comparing(PromptSet::sha256).thenComparingInt(PromptSet::prompts);

  /**
   * @throws UserException if the hash is none or there is no prompt or too many
   */
  public PromptSet {
    if (!Sha256.isHex(sha256)) {
      throw new UserException("the prompts' SHA-256 is wrong; expected 64 hexadecimal digits");
    }
    if (prompts < 1 || prompts > HeadScores.MAX_PROMPTS) {
      throw new UserException(
          prompts + " prompts are out of range; expected 1 to " + HeadScores.MAX_PROMPTS);
    }
  }

  /**
   * Hashes texts in their order, and the seed of the first: drawn with another seed, a prompt is
   * another observation.
   */
  public static PromptSet of(List<String> prompts, long seed) {
    MessageDigest digest = Sha256.digest();
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(0, seed));
    for (String prompt : prompts) {
      byte[] text = prompt.getBytes(StandardCharsets.UTF_8);
      digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, text.length));
      digest.update(text);
    }
    return new PromptSet(Sha256.hex(digest), prompts.size());
  }

  /** The hash of several sets, whatever their order; of one set, its own. */
  static String combinedSha256(List<PromptSet> sets) {
    if (sets.size() == 1) {
      return sets.getFirst().sha256;
    }
    StringBuilder lines = new StringBuilder();
    sets.stream()
        .sorted()
        .forEach(set -> lines.append(set.sha256).append(' ').append(set.prompts).append('\n'));
    return Sha256.of(lines.toString());
  }

  /** By hash. */
  @Override
  public int compareTo(PromptSet other) {
    return ORDER.compare(this, other);
  }
}
