package io.heatkv.cli.console;

import io.heatkv.checkpoint.ShardedWriter;

/** Says on the error stream how much of a model's files is written, every tenth. */
public final class ByteProgress implements ShardedWriter.Progress {
  private static final int STEPS = 10;

  private final Console console;
  private long total;
  private long steps;

  public ByteProgress(Console console) {
    this.console = console;
  }

  @Override
  public void advance(String name, long done, long all) {
    if (all != total) {
      total = all;
      steps = 0;
    }
    long now = all == 0 ? STEPS : done * STEPS / all;
    if (now > steps) {
      steps = now;
      console.message(100 / STEPS * now + "% of " + Sizes.text(all));
    }
  }
}
