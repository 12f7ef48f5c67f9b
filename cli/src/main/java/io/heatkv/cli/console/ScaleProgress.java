package io.heatkv.cli.console;

import io.heatkv.scale.ScaleGrids;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;

/**
 * Shows on standard error how far passes are, which may be drawn at once: one bar for all of them
 * on a terminal, lines elsewhere.
 */
public final class ScaleProgress {
  private static final int CELLS = 30;

  private final Console console;
  private final List<String> labels;
  private final ScaleGrids grids;
  private final long start = System.nanoTime();
  // Of each pass.
  private final int[] scales;

  /**
   * @param labels what each pass draws
   */
  public ScaleProgress(Console console, List<String> labels, ScaleGrids grids) {
    this.console = console;
    this.labels = List.copyOf(labels);
    this.grids = grids;
    scales = new int[labels.size()];
    if (console.live()) {
      bar();
    }
  }

  /** A scale of a pass is drawn. */
  public synchronized void done(int pass, int scale) {
    scales[pass] = scale + 1;
    if (console.live()) {
      bar();
      if (tokens() == all()) {
        console.err().println();
      }
    } else {
      console
          .err()
          .println(
              "%s: scale %d/%d (%s), %s s"
                  .formatted(
                      labels.get(pass), scale + 1, grids.count(), grids.size(scale), seconds()));
    }
    console.err().flush();
  }

  /** Prints something else above the bar. */
  public synchronized void above(Runnable print) {
    boolean erased = console.live() && tokens() < all();
    if (erased) {
      console.err().print("\r" + " ".repeat(bar(tokens()).length()) + "\r");
      console.err().flush();
    }
    print.run();
    if (erased) {
      bar();
    }
  }

  /** Time goes with the tokens, not with the scales. */
  private long tokens() {
    long tokens = 0;
    for (int scale : scales) {
      tokens += grids.offset(scale);
    }
    return tokens;
  }

  private long all() {
    return (long) scales.length * grids.totalTokens();
  }

  private void bar() {
    PrintWriter err = console.err();
    err.print(bar(tokens()));
    err.flush();
  }

  private String bar(long tokens) {
    int filled = (int) (CELLS * tokens / all());
    String state =
        scales.length == 1
            ? "scale %d/%d".formatted(scales[0], grids.count())
            : "pass %d/%d".formatted(tokens / grids.totalTokens(), scales.length);
    return "\r%s [%s%s] %s %s s "
        .formatted(
            labels.getFirst(), "#".repeat(filled), "·".repeat(CELLS - filled), state, seconds());
  }

  private String seconds() {
    return String.format(Locale.ROOT, "%.1f", (System.nanoTime() - start) / 1e9);
  }
}
