package io.heatkv.cli.console;

import java.io.PrintWriter;

/**
 * Where a command writes. Whether all of it could be written is asked once, when the command ends:
 * files are worth finishing without a reader of their names.
 *
 * @param out results
 * @param err messages and progress
 * @param live whether {@code err} is a terminal, on which a line may be drawn over
 */
public record Console(PrintWriter out, PrintWriter err, boolean live) {
  /** A line of result, after what was already written to either stream. */
  public void print(String line) {
    out.println(line);
    out.flush();
  }

  /** The text and nothing after it. */
  public void printExactly(String text) {
    out.print(text);
    out.flush();
  }

  /** A message of one line, whatever the text holds. */
  public void message(String text) {
    err.println("heatkv: " + oneLine(text));
    err.flush();
  }

  public static String oneLine(String text) {
    return text.strip().replaceAll("\\s*[\\p{Cntrl}\\u0085\\u2028\\u2029]+\\s*", " ");
  }
}
