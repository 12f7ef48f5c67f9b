package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A share of the work that several processes divide.
 *
 * @param index from 0
 * @param count of shares
 */
public record Shard(int index, int count) {
  private static final Pattern FORM = Pattern.compile("([0-9]{1,4})/([0-9]{1,4})");

  /**
   * Reads {@code I/N} with I from 1 to N; all of the work if there is none.
   *
   * @throws UserException if it is none
   */
  public static Shard parse(@Nullable String text) {
    if (text == null) {
      return new Shard(0, 1);
    }
    Matcher parts = FORM.matcher(text);
    if (parts.matches()) {
      int index = Integer.parseInt(parts.group(1));
      int count = Integer.parseInt(parts.group(2));
      if (index >= 1 && index <= count) {
        return new Shard(index - 1, count);
      }
    }
    throw new UserException(
        "shard '" + text + "' is none; expected I/N with I from 1 to N, such as 1/4");
  }

  /** Whether others do the rest. */
  public boolean isPart() {
    return count > 1;
  }
}
