package io.heatkv.eval.report;

import java.util.Locale;

/** Texts inside HTML and SVG. */
final class Html {
  private Html() {}

  /** The text with nothing in it that a browser takes for markup, also within an attribute. */
  static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints()
        .forEach(point -> {
          switch (point) {
            case '&' -> escaped.append("&amp;");
            case '<' -> escaped.append("&lt;");
            case '>' -> escaped.append("&gt;");
            case '"' -> escaped.append("&quot;");
            case '\'' -> escaped.append("&#39;");
            // Control characters are no HTML, whatever their notation.
            default -> {
              if (Character.isISOControl(point) || (point >= 0xD800 && point <= 0xDFFF)) {
                escaped.append(' ');
              } else {
                escaped.appendCodePoint(point);
              }
            }
          }
        });
    return escaped.toString();
  }

  /** A number with a fixed count of decimals and a real minus sign. */
  static String number(double value, int decimals) {
    return Double.isNaN(value)
        ? "–"
        : Double.isInfinite(value)
            ? (value < 0 ? "−∞" : "∞")
            : String.format(Locale.ROOT, "%." + decimals + "f", value).replace('-', '−');
  }

  /** A coordinate. */
  static String at(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }

  /** A ratio such as {@code 5 %}. */
  static String percent(double ratio) {
    String text = String.format(Locale.ROOT, "%.2f", 100 * ratio);
    return text.replaceAll("\\.?0+$", "") + " %";
  }

  /** Bytes for people, in powers of 1024. */
  static String bytes(long bytes) {
    String[] units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = bytes;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit == 0 ? bytes + " bytes" : number(value, 1) + " " + units[unit];
  }
}
