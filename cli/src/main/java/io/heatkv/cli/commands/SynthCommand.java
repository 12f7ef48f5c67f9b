package io.heatkv.cli.commands;

import io.heatkv.cli.console.ByteProgress;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.options.WeightsOutput;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.Synthesis;
import java.util.Iterator;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Makes a model of random weights with a published model's shapes. */
@Command(
    name = "synth",
    description = "Makes a model of random weights with a published model's names and shapes.",
    footer = {
      "  heatkv synth --like infinity-125m --vae --text -o random-125m",
      "  heatkv synth --like var-d30 --vae --seed 7 -o random-d30",
      "",
      "For trying out memory and speed; the pictures are noise."
    })
public final class SynthCommand implements Callable<Integer> {
  private final Console console;

  /** Sizes of all families. */
  static final class Sizes implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return ModelFamilies.sizes().iterator();
    }
  }

  @Option(
      names = "--like",
      paramLabel = "SIZE",
      required = true,
      completionCandidates = Sizes.class,
      description = "Whose shapes are taken; an unknown size lists all.")
  private String like = "";

  @Mixin private final WeightsOutput output = new WeightsOutput();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Number that decides the weights. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(names = "--vae", description = "Also write an image tokenizer.")
  private boolean vae;

  @Option(
      names = "--text",
      description = "Also write a text encoder of flan-t5-xl's shapes (2.4 GB in bf16).")
  private boolean text;

  public SynthCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (seed < 0) {
      throw new UserException("seed " + seed + " is out of range; expected 0 or more");
    }
    ModelFamilies.ofSize(like)
        .synthesize(
            new Synthesis(like, output.type(), seed, vae, text),
            output.folder(),
            new ByteProgress(console));
    console.print(output.folder() + " (random weights, seed " + seed + ")");
    return 0;
  }
}
