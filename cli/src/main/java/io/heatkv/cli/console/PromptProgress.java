package io.heatkv.cli.console;

import io.heatkv.Calibrator;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.LongSupplier;

/**
 * Shows on standard error how far a calibration is: a bar on a terminal, lines elsewhere; and ends
 * it when the user wants to.
 */
public final class PromptProgress implements Calibrator.Listener {
  private static final int CELLS = 30;

  private final Console console;
  private final Path output;
  private final boolean quiet;
  private final Interruption interruption;
  private final LongSupplier nanos;
  private final long start;
  // Prompts that an earlier run has done; unknown until the first call.
  private int before = -1;
  private int done;

  public PromptProgress(Console console, Path output, boolean quiet, Interruption interruption) {
    this(console, output, quiet, interruption, System::nanoTime);
  }

  PromptProgress(
      Console console, Path output, boolean quiet, Interruption interruption, LongSupplier nanos) {
    this.console = console;
    this.output = output;
    this.quiet = quiet;
    this.interruption = interruption;
    this.nanos = nanos;
    start = nanos.getAsLong();
  }

  @Override
  public void promptDone(int prompts, int count) {
    done = prompts;
    if (before < 0) {
      before = prompts;
      if (before > 0 && !quiet) {
        console.message(
            "going on from %s, where %d of %d prompts are done"
                .formatted(Calibrator.partial(output), before, count));
      }
    }
    if (!quiet && (console.live() || prompts > before)) {
      draw(prompts, count);
    }
  }

  @Override
  public boolean isCancelled() {
    return interruption.isRequested();
  }

  private void draw(int prompts, int count) {
    PrintWriter err = console.err();
    String state =
        prompts == before
            ? "prompt %d/%d".formatted(prompts, count)
            : String.format(
                Locale.ROOT,
                "prompt %d/%d, %.2f prompts/s, %s left",
                prompts,
                count,
                promptsPerSecond(),
                duration((count - prompts) / promptsPerSecond()));
    if (console.live()) {
      int filled = (int) ((long) CELLS * prompts / count);
      // Trailing blanks cover what a longer line left.
      err.print(
          "\r%s [%s%s] %s   "
              .formatted(
                  output.getFileName(), "#".repeat(filled), "·".repeat(CELLS - filled), state));
      if (prompts == count) {
        err.println();
      }
    } else {
      err.println(output.getFileName() + ": " + state);
    }
    err.flush();
  }

  /** Such as 3 min 20 s. */
  public static String duration(double seconds) {
    long whole = Math.round(seconds);
    return whole < 60
        ? whole + " s"
        : whole < 3600
            ? whole / 60 + " min " + whole % 60 + " s"
            : whole / 3600 + " h " + whole % 3600 / 60 + " min";
  }

  /** Prompts that an earlier run has done. */
  public int before() {
    return Math.max(0, before);
  }

  /** Seconds since the calibration began or went on. */
  public double seconds() {
    return (nanos.getAsLong() - start) / 1e9;
  }

  /** Of this run. */
  public double promptsPerSecond() {
    return (done - before()) / seconds();
  }
}
