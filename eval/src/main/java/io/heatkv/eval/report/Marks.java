package io.heatkv.eval.report;

/** Colours of curves, and shapes that tell them apart without colour. */
final class Marks {
  // As many as report.css has; no multiple of the shapes, so that both repeat together only after
  // 55 policies.
  private static final int COLOURS = 11;

  private static final String[] SHAPES = {
    // circle, square, triangle up, diamond, triangle down
    "M%1$s %2$sm-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z",
    "M%1$s %2$sm-3.7 -3.7h7.4v7.4h-7.4z",
    "M%1$s %2$sm0 -4.8l4.6 8h-9.2z",
    "M%1$s %2$sm0 -5l4.6 5l-4.6 5l-4.6 -5z",
    "M%1$s %2$sm0 4.8l4.6 -8h-9.2z"
  };

  private Marks() {}

  /** Path of a policy's mark around a point. */
  static String at(int policy, double x, double y) {
    return SHAPES[policy % SHAPES.length].formatted(Html.at(x), Html.at(y));
  }

  /** Class of a policy's colour; the first policy's lines are thick. */
  static String style(int policy) {
    return "p" + policy % COLOURS + (policy == 0 ? " first" : "");
  }

  /** A line with the mark on it, for legends and tables. */
  static String key(int policy) {
    return "<svg class=\"key %s\" viewBox=\"0 0 26 14\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 7H25\"/><path class=\"mark\" d=\"%s\"/></svg>"
        .formatted(style(policy), at(policy, 13, 7));
  }
}
