package io.heatkv.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;

/** The {@code heatkv} command. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    Console console =
        new Console(
            // System.out would keep what went wrong to itself.
            writer(
                new PipeOutput(new FileOutputStream(FileDescriptor.out)),
                System.getProperty("stdout.encoding")),
            writer(System.err, System.getProperty("stderr.encoding")),
            Terminal.isStandardError());
    System.exit(HeatKv.run(console, arguments));
  }

  /** Text in UTF-8 unless the terminal wants another encoding. */
  private static PrintWriter writer(OutputStream stream, String encoding) {
    Charset charset = encoding == null ? Charset.defaultCharset() : Charset.forName(encoding);
    return new PrintWriter(stream, true, charset);
  }
}
