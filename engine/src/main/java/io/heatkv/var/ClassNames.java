package io.heatkv.var;

import io.heatkv.error.Nearest;
import io.heatkv.error.UserException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The classes of ImageNet-1k: synsets of WordNet 3.0 in the order of their numbers, each with one
 * or more names.
 */
public final class ClassNames {
  /** Number of classes. */
  public static final int COUNT = 1000;

  private static final String RESOURCE = "imagenet-1k.txt";
  private static final int OFFERED = 3;
  private static final Pattern INDEX = Pattern.compile("\\d{1,9}");

  // Names of each class, the usual one first.
  private static final List<List<String>> NAMES = read();
  // By lower-case name, in the order of the classes.
  private static final Map<String, List<Integer>> BY_NAME = byName();

  private ClassNames() {}

  /** A line is such as {@code n01440764 tench, Tinca tinca}. */
  private static List<List<String>> read() {
    try (InputStream in =
            Objects.requireNonNull(ClassNames.class.getResourceAsStream(RESOURCE), RESOURCE);
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return lines
          .lines()
          .map(line -> List.of(line.substring(line.indexOf(' ') + 1).split(", ")))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Map<String, List<Integer>> byName() {
    Map<String, List<Integer>> classes = new LinkedHashMap<>();
    for (int i = 0; i < NAMES.size(); i++) {
      for (String name : NAMES.get(i)) {
        classes.computeIfAbsent(key(name), _ -> new ArrayList<>()).add(i);
      }
    }
    return classes;
  }

  private static String key(String name) {
    return name.strip().replaceAll("[\\s_]+", " ").toLowerCase(Locale.ROOT);
  }

  /** The usual name of a class. */
  public static String name(int index) {
    return NAMES.get(index).getFirst();
  }

  /**
   * The class that is meant.
   *
   * @param text its index, or one of its names in any case
   * @param classes that the model draws; names are known of {@value #COUNT} only
   * @throws UserException naming the nearest names if there is no such class, or its indices if
   *     several have that name
   */
  public static int parse(String text, int classes) {
    String wanted = key(text);
    if (INDEX.matcher(wanted).matches()) {
      int index = Integer.parseInt(wanted);
      if (index >= classes) {
        throw new UserException(
            "class %d is out of range; expected 0 to %d".formatted(index, classes - 1));
      }
      return index;
    }
    if (classes != COUNT) {
      throw new UserException(
          "class '%s' is no index; the model's %d classes have no names, expected 0 to %d"
              .formatted(wanted, classes, classes - 1));
    }
    List<Integer> found = BY_NAME.getOrDefault(wanted, List.of());
    if (found.size() == 1) {
      return found.getFirst();
    }
    if (found.isEmpty()) {
      throw new UserException(
          "class '%s' is unknown; did you mean %s? Expected an index from 0 to %d or a name of ImageNet's classes"
              .formatted(wanted, String.join(", ", near(wanted)), COUNT - 1));
    }
    List<Integer> first = found.stream().filter(i -> key(name(i)).equals(wanted)).toList();
    if (first.size() == 1) {
      return first.getFirst();
    }
    throw new UserException(
        "class '%s' is the name of several; give the index: %s"
            .formatted(
                wanted,
                found.stream()
                    .map(i -> i + " (" + String.join(", ", NAMES.get(i)) + ")")
                    .collect(Collectors.joining(" or "))));
  }

  /** Names that have the wanted words in them, then those with the fewest letters to change. */
  private static List<String> near(String wanted) {
    List<String> names = NAMES.stream().flatMap(List::stream).distinct().toList();
    List<String> containing = names.stream().filter(name -> key(name).contains(wanted)).toList();
    return Nearest.of(wanted, containing.isEmpty() ? names : containing, OFFERED);
  }
}
