package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The budgets that users type. */
final class BudgetParser {
  // Lengths are bounded, so that no exponent or row of digits costs time.
  private static final Pattern FORM =
      Pattern.compile(
          "([+-]?(?:[0-9]{1,40}(?:\\.[0-9]{0,400})?|\\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?)"
              + "\\s?(%|[A-Za-z]{0,3})");
  private static final Map<String, Long> UNITS =
      Map.of(
          "b", 1L,
          "kb", 1_000L,
          "mb", 1_000_000L,
          "gb", 1_000_000_000L,
          "tb", 1_000_000_000_000L,
          "kib", 1L << 10,
          "mib", 1L << 20,
          "gib", 1L << 30,
          "tib", 1L << 40);

  private BudgetParser() {}

  static Budget parse(String text) {
    Matcher parts = FORM.matcher(text.strip());
    if (!parts.matches()) {
      throw refusal(text, "can't be read");
    }
    String number = parts.group(1);
    String unit = parts.group(2).toLowerCase(Locale.ROOT);
    if (unit.isEmpty()) {
      return ratio(text, Double.parseDouble(number));
    }
    if (unit.equals("%")) {
      return ratio(text, new BigDecimal(number).movePointLeft(2).doubleValue());
    }
    Long factor = UNITS.get(unit);
    if (factor == null) {
      throw refusal(text, "has the unknown unit " + parts.group(2));
    }
    if (number.startsWith("-")) {
      throw refusal(text, "is negative");
    }
    BigDecimal bytes = new BigDecimal(number).multiply(BigDecimal.valueOf(factor));
    if (bytes.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0) {
      throw refusal(text, "is more than 2^63 - 1 bytes");
    }
    return new Budget.Bytes(bytes.setScale(0, RoundingMode.DOWN).longValue());
  }

  private static Budget ratio(String text, double value) {
    if (value < 0) {
      throw refusal(text, "is negative");
    }
    if (value > 1) {
      throw refusal(text, "is more than the full cache");
    }
    return new Budget.Ratio(value);
  }

  private static UserException refusal(String text, String problem) {
    String shown = text.length() > 40 ? text.substring(0, 40) + "…" : text;
    return new UserException(
        "budget '"
            + shown.replaceAll("\\p{Cntrl}", "?")
            + "' "
            + problem
            + "; expected a ratio of the full cache such as 0.1, 10%, or a size such as 256MiB");
  }
}
