package io.heatkv.cli.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.scale.ScaleGrids;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How far the work is, in bars of 30 letters and in lines. */
class ProgressTest {
  private final StringWriter text = new StringWriter();
  private final PrintWriter err = new PrintWriter(text);

  private Console console(boolean live) {
    return new Console(err, err, live);
  }

  private String said() {
    String said = text.toString().replace(System.lineSeparator(), "\n");
    text.getBuffer().setLength(0);
    return said;
  }

  @Test
  void bytesAreToldByTenths() {
    ByteProgress progress = new ByteProgress(console(false));
    progress.advance("a", 0, 2048);
    progress.advance("b", 204, 2048);
    assertThat(said()).isEmpty();
    progress.advance("c", 205, 2048);
    assertThat(said()).isEqualTo("heatkv: 10% of 2.0 KiB\n");
    progress.advance("d", 300, 2048);
    progress.advance("e", 1024, 2048);
    assertThat(said()).isEqualTo("heatkv: 50% of 2.0 KiB\n");
    progress.advance("f", 2048, 2048);
    assertThat(said()).isEqualTo("heatkv: 100% of 2.0 KiB\n");
    // The next part begins anew.
    progress.advance("g", 500, 1000);
    progress.advance("h", 0, 0);
    assertThat(said()).isEqualTo("heatkv: 50% of 1000 bytes\nheatkv: 100% of 0 bytes\n");
  }

  /** Scales of 1, 4 and 25 tokens: a bar goes with the tokens. */
  @Test
  void scalesAreToldByTheirTokens() {
    ScaleProgress bar =
        new ScaleProgress(console(true), List.of("a.png"), ScaleGrids.parse("1x1,2x2,5x5"));
    assertThat(said()).contains("\ra.png [" + "·".repeat(30) + "] scale 0/3 ");
    bar.done(0, 0);
    assertThat(said()).contains("[#" + "·".repeat(29) + "] scale 1/3 ").doesNotContain("\n");
    bar.done(0, 1);
    assertThat(said()).contains("[#####" + "·".repeat(25) + "] scale 2/3 ");
    bar.done(0, 2);
    assertThat(said()).contains("[" + "#".repeat(30) + "] scale 3/3 ").endsWith(" s \n");
    ScaleProgress lines =
        new ScaleProgress(console(false), List.of("a.png"), ScaleGrids.parse("1x1,2x3"));
    assertThat(said()).isEmpty();
    lines.done(0, 1);
    assertThat(said()).matches("a\\.png: scale 2/2 \\(2x3\\), [0-9]+\\.[0-9] s\n");
  }

  /** Passes that are drawn at once share a bar, and what is printed meanwhile stands above it. */
  @Test
  void passesAreToldTogether() {
    ScaleProgress bar =
        new ScaleProgress(console(true), List.of("a", "b"), ScaleGrids.parse("1x1,2x2"));
    assertThat(said()).contains("\ra [" + "·".repeat(30) + "] pass 0/2 ");
    bar.done(1, 0);
    bar.done(0, 0);
    assertThat(said()).contains("[######" + "·".repeat(24) + "] pass 0/2 ");
    bar.done(0, 1);
    assertThat(said()).contains("[##################" + "·".repeat(12) + "] pass 1/2 ");
    bar.above(() -> err.println("a is written"));
    assertThat(said()).matches("(?s)\r +\ra is written\n\ra \\[#{18}·{12}\\] pass 1/2 .*");
    bar.done(1, 1);
    assertThat(said()).contains("[" + "#".repeat(30) + "] pass 2/2 ").endsWith(" s \n");
    bar.above(() -> err.println("b is written"));
    assertThat(said()).isEqualTo("b is written\n");
  }

  /**
   * An earlier run has done 2 of 4 prompts; this one takes 2 s for the third, 1 s for the fourth.
   */
  @Test
  void promptsAreToldWithTheTimeLeft() {
    AtomicLong nanos = new AtomicLong();
    Path output = Path.of("a.json");
    try (Interruption interruption = new Interruption()) {
      PromptProgress bar =
          new PromptProgress(console(true), output, false, interruption, nanos::get);
      bar.promptDone(2, 4);
      assertThat(said())
          .isEqualTo(
              "heatkv: going on from a.json.partial, where 2 of 4 prompts are done\n\ra.json ["
                  + "#".repeat(15)
                  + "·".repeat(15)
                  + "] prompt 2/4   ");
      nanos.set(2_000_000_000);
      bar.promptDone(3, 4);
      assertThat(said()).contains("] prompt 3/4, 0.50 prompts/s, 2 s left ").doesNotContain("\n");
      nanos.set(3_000_000_000L);
      bar.promptDone(4, 4);
      assertThat(said())
          .contains("[" + "#".repeat(30) + "] prompt 4/4, 0.67 prompts/s, 0 s left ")
          .endsWith("\n");
      assertThat(bar.isCancelled()).isFalse();
      assertThat(bar.before()).isEqualTo(2);
    }
  }

  @Test
  void drawingsOfAnEvaluation() {
    try (Interruption interruption = new Interruption()) {
      EvaluationProgress bar = new EvaluationProgress(console(true), false, interruption);
      bar.drawn(1, 60, "full");
      assertThat(said()).contains("drawings [" + "·".repeat(30) + "] 1/60 (full), ");
      bar.drawn(2, 60, "heatkv 0.1");
      assertThat(said()).contains("[#" + "·".repeat(29) + "] 2/60 (heatkv 0.1), ");
      bar.drawn(60, 60, "full");
      assertThat(said()).contains("[" + "#".repeat(30) + "] 60/60 (full), 0 s left").endsWith("\n");
      // Of lines the first and the last, and one now and then.
      EvaluationProgress lines = new EvaluationProgress(console(false), false, interruption);
      lines.drawn(1, 3, "a");
      assertThat(said()).startsWith("drawings 1/3 (a), ").hasLineCount(1);
      lines.drawn(2, 3, "b");
      assertThat(said()).isEmpty();
      lines.drawn(3, 3, "c");
      assertThat(said()).isEqualTo("drawings 3/3 (c), 0 s left\n");
      EvaluationProgress quiet = new EvaluationProgress(console(true), true, interruption);
      quiet.drawn(3, 3, "c");
      assertThat(said()).isEmpty();
      quiet.warning("w");
      assertThat(said()).isEqualTo("heatkv: warning: w\n");
    }
  }

  @Test
  void messagesAreOneLine() {
    console(false).message(" a\n\n b\u0007c\u2028d ");
    assertThat(said()).isEqualTo("heatkv: a b c d\n");
  }
}
