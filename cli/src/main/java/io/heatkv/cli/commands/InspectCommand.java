package io.heatkv.cli.commands;

import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.report.CheckpointSummary;
import io.heatkv.cli.report.Json;
import io.heatkv.cli.report.ModelSummary;
import io.heatkv.error.UserException;
import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonObject;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Prints what a picture tells about its making, what a file of weights holds or a model is. */
@Command(
    name = "inspect",
    description = "Prints how a picture was made, or what a model or a file of weights holds.",
    footer = {
      "  heatkv inspect apple.png",
      "  heatkv inspect apple.png --json",
      "  heatkv inspect emoji",
      "  heatkv inspect path/to/model-folder",
      "  heatkv inspect infinity_2b_reg.pth"
    })
public final class InspectCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(
      paramLabel = "FILE|MODEL",
      description =
          "A PNG, a file of weights (.pth, .safetensors, ...), emoji, emoji-512 or a model's"
              + " folder.")
  private String name = "";

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  public InspectCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (ModelSource.isEmbedded(name) || Files.isDirectory(Path.of(name))) {
      FoundModel found = ModelSource.locate(name);
      found.notes().forEach(console::message);
      try (ModelDescription model = found.description()) {
        ModelSummary summary = ModelSummary.of(model);
        console.print(json ? Json.pretty(summary.toJson()) : summary.toText());
      }
      return 0;
    }
    Path file = Path.of(name);
    if (Checkpoints.isLike(file) || name.endsWith(".index.json")) {
      CheckpointSummary summary = CheckpointSummary.of(file);
      console.print(json ? Json.pretty(summary.toJson()) : printable(summary.toText()));
      return 0;
    }
    List<PngText> texts =
        Png.readMetadata(file, e -> console.message(String.valueOf(e.getMessage())));
    Optional<Map<String, Object>> record = record(texts);
    if (json) {
      console.print(Json.pretty(toJson(texts, record)));
    } else if (texts.isEmpty()) {
      throw new UserException(
          name + ": has no metadata; it was drawn with --no-metadata or edited");
    } else {
      console.print(toText(texts, record));
    }
    return 0;
  }

  /** Our own record; without it where an editor damaged it, which is said. */
  private Optional<Map<String, Object>> record(List<PngText> texts) {
    for (PngText text : texts) {
      if (text.keyword().equals(PngText.HEATKV)) {
        try {
          return Optional.of(JsonObject.parse(Path.of(name), text.text()).values());
        } catch (UserException e) {
          console.message("text " + PngText.HEATKV + " of " + e.getMessage());
        }
      }
    }
    return Optional.empty();
  }

  private Map<String, Object> toJson(List<PngText> texts, Optional<Map<String, Object>> record) {
    Map<String, Object> document = new LinkedHashMap<>();
    document.put("file", name);
    record.ifPresent(values -> document.put(PngText.HEATKV, values));
    List<Object> all = new ArrayList<>();
    for (PngText text : texts) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("keyword", text.keyword());
      one.put("text", text.text());
      all.add(one);
    }
    document.put("texts", all);
    return document;
  }

  private static String toText(List<PngText> texts, Optional<Map<String, Object>> record) {
    List<String> paragraphs = new ArrayList<>();
    for (PngText text : texts) {
      String content =
          text.keyword().equals(PngText.HEATKV)
              ? record.map(Json::pretty).orElse(text.text())
              : text.text();
      paragraphs.add(text.keyword() + ":\n" + printable(content).indent(2).stripTrailing());
    }
    return String.join("\n", paragraphs);
  }

  /** A file from elsewhere must not steer the terminal. */
  private static String printable(String text) {
    return text.replaceAll("[\\p{Cntrl}\\x{80}-\\x{9f}&&[^\\n\\t]]", "?");
  }
}
