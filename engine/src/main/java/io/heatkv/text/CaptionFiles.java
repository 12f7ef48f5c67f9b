package io.heatkv.text;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Prompts of one JSON document: captions of pictures as COCO publishes them, a list of prompts, or
 * lists of prompts by group as HPSv2 publishes them.
 */
final class CaptionFiles {
  private CaptionFiles() {}

  /**
   * Reads a document.
   *
   * <ul>
   *   <li>An object with {@code annotations}: the first {@code caption} of each {@code image_id},
   *       in the order of {@code images} if there are such, else of the annotations.
   *   <li>A list: texts, or objects with {@code prompt}, {@code caption} or {@code captions}.
   *   <li>An object of such lists: all of them, one after another.
   * </ul>
   *
   * @return one prompt or more, none blank
   * @throws UserException if it is none of them, or has no caption
   */
  static List<String> read(Path file) {
    List<String> prompts = new ArrayList<>();
    switch (JsonObject.readDocument(file)) {
      case JsonObject object when object.has("annotations") || object.has("images") ->
          prompts.addAll(captions(object));
      case JsonObject object ->
          object.values().forEach((key, value) -> prompts.addAll(listed(file, key + " ", value)));
      case Object list -> prompts.addAll(listed(file, "", list));
    }
    if (prompts.isEmpty()) {
      throw new UserException(
          "prompt file "
              + file
              + " has no captions; expected COCO's annotations with a caption, or a list of prompts");
    }
    return prompts;
  }

  private static List<String> captions(JsonObject object) {
    Map<Object, String> first = new LinkedHashMap<>();
    List<?> annotations = object.has("annotations") ? object.list("annotations") : List.of();
    for (Object item : annotations) {
      if (item instanceof Map<?, ?> annotation
          && annotation.get("caption") instanceof String caption
          && !caption.isBlank()) {
        Object image = annotation.get("image_id");
        first.putIfAbsent(image == null ? "caption " + first.size() : image, caption.strip());
      }
    }
    List<String> ordered = new ArrayList<>();
    List<?> images = object.has("images") ? object.list("images") : List.of();
    for (Object item : images) {
      if (item instanceof Map<?, ?> image && image.get("id") != null) {
        @Nullable String caption = first.remove(image.get("id"));
        if (caption != null) {
          ordered.add(caption);
        }
      }
    }
    ordered.addAll(first.values());
    String place = "prompt file " + object.source();
    return ordered.stream().map(caption -> PromptFiles.checked(place, caption)).toList();
  }

  private static List<String> listed(Path file, String group, Object value) {
    if (!(value instanceof List<?> list)) {
      throw new UserException(
          "prompt file "
              + file
              + " has no captions; expected COCO's annotations with a caption, or a list of prompts");
    }
    List<String> prompts = new ArrayList<>();
    for (Object item : list) {
      String place = "prompt file %s, item %s%d".formatted(file, group, prompts.size() + 1);
      prompts.add(PromptFiles.checked(place, prompt(place, item).strip()));
    }
    return prompts;
  }

  private static String prompt(String place, Object item) {
    if (item instanceof Map<?, ?> map) {
      for (String key : List.of("prompt", "caption")) {
        if (map.get(key) instanceof String text) {
          return text;
        }
      }
      if (map.get("captions") instanceof List<?> captions
          && !captions.isEmpty()
          && captions.getFirst() instanceof String text) {
        return text;
      }
    }
    if (item instanceof String text) {
      return text;
    }
    throw new UserException(
        place + " has no prompt; expected a text, or an object with prompt or caption");
  }
}
