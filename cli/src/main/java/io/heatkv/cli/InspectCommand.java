package io.heatkv.cli;

import io.heatkv.error.UserException;
import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonObject;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Prints what a picture tells about its making, or what a model is. */
@Command(
    name = "inspect",
    description = "Prints how a picture was made, or what a model is.",
    footer = {
      "  heatkv inspect apple.png",
      "  heatkv inspect apple.png --json",
      "  heatkv inspect emoji",
      "  heatkv inspect path/to/model-folder"
    })
final class InspectCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(paramLabel = "FILE|MODEL", description = "A PNG, emoji or a folder with a model.")
  private String name = "";

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  InspectCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (name.equals(ModelSource.EMBEDDED) || Files.isDirectory(Path.of(name))) {
      FoundModel found = ModelSource.locate(name);
      found.notes().forEach(console::message);
      ModelSummary summary = ModelSummary.of(found.description());
      console.print(json ? Json.pretty(summary.toJson()) : summary.toText());
      return 0;
    }
    List<PngText> texts = Png.readMetadata(Path.of(name));
    if (json) {
      console.print(Json.pretty(toJson(texts)));
    } else if (texts.isEmpty()) {
      throw new UserException(
          name + ": has no metadata; it was drawn with --no-metadata or edited");
    } else {
      console.print(toText(texts));
    }
    return 0;
  }

  private Map<String, Object> toJson(List<PngText> texts) {
    Map<String, Object> document = new LinkedHashMap<>();
    document.put("file", name);
    List<Object> all = new ArrayList<>();
    for (PngText text : texts) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("keyword", text.keyword());
      one.put("text", text.text());
      all.add(one);
      if (text.keyword().equals(PngText.HEATKV)) {
        document.put(PngText.HEATKV, JsonObject.parse(Path.of(name), text.text()).values());
      }
    }
    document.put("texts", all);
    return document;
  }

  private String toText(List<PngText> texts) {
    List<String> paragraphs = new ArrayList<>();
    for (PngText text : texts) {
      String content =
          text.keyword().equals(PngText.HEATKV)
              ? Json.pretty(JsonObject.parse(Path.of(name), text.text()).values())
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
