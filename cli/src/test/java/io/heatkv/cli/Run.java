package io.heatkv.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/**
 * A command that ran in this process.
 *
 * @param status its exit status
 * @param out what it printed
 * @param err its messages
 */
record Run(int status, String out, String err) {
  static Run of(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status =
        HeatKv.run(new Console(new PrintWriter(out), new PrintWriter(err), false), arguments);
    return new Run(status, out.toString(), err.toString());
  }
}
