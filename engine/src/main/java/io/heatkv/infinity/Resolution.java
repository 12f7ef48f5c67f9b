package io.heatkv.infinity;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** Pixel budgets of Infinity's dynamic resolution: how many scales of a template are drawn. */
public enum Resolution {
  P006("0.06M", 7),
  P025("0.25M", 10),
  P060("0.60M", 12),
  P1("1M", 13);

  private final String label;
  private final int scales;

  Resolution(String label, int scales) {
    this.label = label;
    this.scales = scales;
  }

  /** Number of scales. */
  public int scales() {
    return scales;
  }

  /** The resolution of the official name (pn), if there is one. */
  public static Optional<Resolution> find(String text) {
    return Arrays.stream(values()).filter(value -> value.label.equals(text)).findFirst();
  }

  /**
   * As above.
   *
   * @throws UserException if there is none
   */
  public static Resolution parse(String text) {
    return find(text)
        .orElseThrow(() ->
            new UserException(
                "resolution '"
                    + text
                    + "' is unknown; expected "
                    + Arrays.stream(values())
                        .map(Resolution::toString)
                        .collect(Collectors.joining(", "))));
  }

  @Override
  public String toString() {
    return label;
  }
}
