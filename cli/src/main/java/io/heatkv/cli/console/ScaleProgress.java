package io.heatkv.cli.console;

import io.heatkv.scale.ScaleGrids;
import java.io.PrintWriter;
import java.util.Locale;

/** Shows on standard error how far a picture is: a bar on a terminal, lines elsewhere. */
public final class ScaleProgress {
  private static final int CELLS = 30;

  private final Console console;
  private final String label;
  private final ScaleGrids grids;
  private final long start = System.nanoTime();

  public ScaleProgress(Console console, String label, ScaleGrids grids) {
    this.console = console;
    this.label = label;
    this.grids = grids;
    if (console.live()) {
      draw(0);
    }
  }

  /** A scale is drawn. */
  public void done(int scale) {
    draw(scale + 1);
  }

  private void draw(int done) {
    PrintWriter err = console.err();
    int count = grids.count();
    // Time goes with the tokens, not with the scales.
    int tokens = grids.offset(done);
    if (console.live()) {
      int filled = (int) ((long) CELLS * tokens / grids.totalTokens());
      err.print(
          "\r%s [%s%s] scale %d/%d %s s "
              .formatted(
                  label, "#".repeat(filled), "·".repeat(CELLS - filled), done, count, seconds()));
      if (done == count) {
        err.println();
      }
    } else {
      err.println(
          "%s: scale %d/%d (%s), %s s"
              .formatted(label, done, count, grids.size(done - 1), seconds()));
    }
    err.flush();
  }

  private String seconds() {
    return String.format(Locale.ROOT, "%.1f", (System.nanoTime() - start) / 1e9);
  }
}
