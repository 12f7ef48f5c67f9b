package io.heatkv.cli.commands;

import io.heatkv.checkpoint.StorageType;
import io.heatkv.cli.console.Advice;
import io.heatkv.cli.console.ByteProgress;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.options.WeightsOutput;
import io.heatkv.error.Remedy;
import io.heatkv.load.Conversion;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Converts a published model once, so that loading it maps files. */
@Command(
    name = "import",
    description = "Converts a model's published files to safetensors and a model.json.",
    footer = {
      "  heatkv import weights -o infinity-2b",
      "  heatkv import infinity_2b_reg.pth infinity_vae_d32_reg.pth flan-t5-xl -o infinity-2b",
      "",
      "Files are recognised by their content. A text encoder that isn't among them is looked",
      "for in HuggingFace's cache; nothing is downloaded. A run that was cut off goes on where",
      "it stopped."
    })
public final class ImportCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(
      paramLabel = "SRC",
      arity = "1..*",
      description =
          "Files or folders that together hold one model; of a single file, what lies beside it.")
  private List<Path> sources = new ArrayList<>();

  @Mixin private final WeightsOutput output = new WeightsOutput();

  public ImportCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    StorageType type = output.type();
    FoundModel found =
        sources.size() == 1
            ? ModelSource.locate(sources.getFirst().toString())
            : ModelSource.locate(sources);
    found.notes().forEach(console::message);
    Conversion result;
    try (ModelDescription model = found.description()) {
      result = model.convert(output.folder(), type, new ByteProgress(console));
    }
    for (Map.Entry<String, Long> tensor : result.overflowed().entrySet()) {
      console.message(
          "warning: %d elements of %s are too large for %s and became infinite"
              .formatted(tensor.getValue(), tensor.getKey(), type));
    }
    result
        .calibration()
        .ifPresent(profile ->
            console.message(
                profile.file().isPresent()
                    ? profile.text()
                    : profile.text() + " " + Advice.of(Remedy.CALIBRATION)));
    console.print(
        "%s (%d shards written, %d kept)"
            .formatted(output.folder(), result.written(), result.kept()));
    return 0;
  }
}
