package io.heatkv.cli.console;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/** Output whose reader may have enough, as {@code head} has: the rest is then written to nobody. */
public final class PipeOutput extends FilterOutputStream {
  private boolean closed;

  public PipeOutput(OutputStream out) {
    super(out);
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (closed) {
      return;
    }
    try {
      out.write(bytes, offset, length);
    } catch (IOException e) {
      String reason = String.valueOf(e.getMessage());
      // Java has no type for EPIPE; the second is Windows's text.
      if (!reason.startsWith("Broken pipe") && !reason.startsWith("The pipe is being closed")) {
        throw e;
      }
      closed = true;
    }
  }
}
