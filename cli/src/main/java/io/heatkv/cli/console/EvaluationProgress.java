package io.heatkv.cli.console;

import io.heatkv.eval.run.Evaluator;
import java.io.PrintWriter;
import java.util.Locale;

/**
 * Shows on standard error how far an evaluation is and how long it will take: a bar on a terminal,
 * lines elsewhere; and ends it when the user wants to.
 */
public final class EvaluationProgress implements Evaluator.Listener {
  private static final int CELLS = 30;
  private static final long LINE_NANOS = 10_000_000_000L;

  private final Console console;
  private final boolean quiet;
  private final Interruption interruption;
  private final long start = System.nanoTime();
  private long lastLine = start - LINE_NANOS;

  public EvaluationProgress(Console console, boolean quiet, Interruption interruption) {
    this.console = console;
    this.quiet = quiet;
    this.interruption = interruption;
  }

  @Override
  public void drawn(int drawings, int count, String label) {
    if (quiet) {
      return;
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    String state =
        String.format(
            Locale.ROOT,
            "%d/%d (%s), %s left",
            drawings,
            count,
            label,
            PromptProgress.duration(seconds / drawings * (count - drawings)));
    PrintWriter err = console.err();
    if (console.live()) {
      int filled = (int) ((long) CELLS * drawings / count);
      // Trailing blanks cover what a longer line left.
      err.print(
          "\rdrawings [%s%s] %s          "
              .formatted("#".repeat(filled), "·".repeat(CELLS - filled), state));
      if (drawings == count) {
        err.println();
      }
    } else if (System.nanoTime() - lastLine >= LINE_NANOS || drawings == count) {
      // A line now and then: a log has thousands of drawings.
      lastLine = System.nanoTime();
      err.println("drawings " + state);
    }
    err.flush();
  }

  @Override
  public void warning(String text) {
    console.message("warning: " + text);
  }

  @Override
  public boolean isCancelled() {
    return interruption.isRequested();
  }
}
