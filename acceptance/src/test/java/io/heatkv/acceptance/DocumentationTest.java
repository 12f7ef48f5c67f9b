package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Commands of the documentation run as they stand, page by page, and links lead somewhere. A block
 * that doesn't run here has a comment above it: what it needs, or which test runs it.
 */
class DocumentationTest {
  private static final Pattern BLOCK =
      Pattern.compile(
          "(?:<!-- (needs|tested by): ([^>]+) -->\\n *)?```sh\\n(.*?)\\n *```", Pattern.DOTALL);
  private static final Pattern LINK = Pattern.compile("\\]\\(([^)\\s]+)\\)");
  private static final Pattern CODE = Pattern.compile("```.*?```|`[^`]*`", Pattern.DOTALL);
  // What runs these tests.
  private static final String THIS = "mvn -B verify";

  @TempDir Path folder;

  /**
   * @param kind needs or tested by; empty if it runs here
   * @param note what it needs, or which test
   */
  private record Block(String kind, String note, String commands) {}

  static List<Path> pages() throws IOException {
    List<Path> pages = new ArrayList<>();
    for (String place : List.of("docs", "training", "deploy", "examples")) {
      try (Stream<Path> files = Files.walk(Program.ROOT.resolve(place))) {
        files.filter(file -> file.toString().endsWith(".md")).forEach(pages::add);
      }
    }
    try (Stream<Path> files = Files.list(Program.ROOT)) {
      files.filter(file -> file.toString().endsWith(".md")).forEach(pages::add);
    }
    return pages.stream().map(Program.ROOT::relativize).sorted().toList();
  }

  private static String read(Path page) throws IOException {
    return Files.readString(Program.ROOT.resolve(page));
  }

  private static List<Block> blocks(Path page) throws IOException {
    Matcher matcher = BLOCK.matcher(read(page));
    return matcher
        .results()
        .map(match ->
            new Block(
                match.group(1) == null ? "" : match.group(1),
                match.group(2) == null ? "" : match.group(2),
                match.group(3)))
        .toList();
  }

  static List<Path> pagesThatRun() throws IOException {
    List<Path> pages = new ArrayList<>();
    for (Path page : pages()) {
      if (blocks(page).stream().anyMatch(block -> block.kind.isEmpty())) {
        pages.add(page);
      }
    }
    return pages;
  }

  @ParameterizedTest
  @MethodSource("pagesThatRun")
  void commandsRun(Path page) throws Exception {
    // As a checkout, but that what is written stays here and the launcher doesn't build.
    try (Stream<Path> entries = Files.list(Program.ROOT)) {
      for (Path entry : entries.toList()) {
        if (!entry.endsWith("heatkv")) {
          Files.createSymbolicLink(folder.resolve(entry.getFileName()), entry);
        }
      }
    }
    Path launcher = folder.resolve("heatkv");
    Files.writeString(
        launcher,
        "#!/bin/sh\nexec '%s' --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar '%s' \"$@\"\n"
            .formatted(
                Path.of(System.getProperty("java.home"), "bin", "java"),
                Program.ROOT.resolve("cli/target/heatkv.jar")));
    assertThat(launcher.toFile().setExecutable(true)).isTrue();
    for (Block block : blocks(page)) {
      if (block.kind.isEmpty()) {
        String commands =
            block
                .commands
                .lines()
                .filter(line -> !line.equals(THIS))
                .collect(Collectors.joining("\n"));
        Program.run(folder, Map.of("LC_ALL", "C.UTF-8"), "bash", "-euo", "pipefail", "-c", commands)
            .succeeded();
      }
    }
  }

  /** JUnit warns of each link that it finds in the folder. */
  @AfterEach
  void unlink() throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path entry : entries.filter(Files::isSymbolicLink).toList()) {
        Files.delete(entry);
      }
    }
  }

  @Test
  void testsThatAreNamedAreThere() throws IOException {
    Set<String> named = new TreeSet<>();
    for (Path page : pages()) {
      blocks(page).stream()
          .filter(block -> block.kind.equals("tested by"))
          .forEach(block -> named.add(block.note + ".java"));
    }
    assertThat(named).isNotEmpty();
    try (Stream<Path> files = Files.walk(Program.ROOT)) {
      assertThat(
              files
                  .filter(file -> file.toString().contains("src/test/java"))
                  .map(file -> file.getFileName().toString())
                  .collect(Collectors.toSet()))
          .containsAll(named);
    }
  }

  /** The README begins with a picture and three commands, which run above. */
  @Test
  void theReadmeBeginsWithAPictureAndThreeCommands() throws IOException {
    String readme = read(Path.of("README.md"));
    assertThat(readme.indexOf("![")).isBetween(0, 900);
    assertThat(blocks(Path.of("README.md")).getFirst())
        .returns("", Block::kind)
        .extracting(Block::commands)
        .asString()
        .hasLineCount(3)
        .contains(
            "./heatkv generate \"a red apple with a green leaf\" --seed 1 -o apple.png", THIS);
  }

  @ParameterizedTest
  @MethodSource("pages")
  void linksLeadSomewhere(Path page) throws IOException {
    Path from = Program.ROOT.resolve(page);
    List<String> broken = new ArrayList<>();
    for (MatchResult match :
        LINK.matcher(CODE.matcher(read(page)).replaceAll("")).results().toList()) {
      String link = match.group(1);
      if (link.matches("[a-z]+:.*")) {
        continue;
      }
      String[] parts = link.split("#", 2);
      Path target = parts[0].isEmpty() ? from : from.resolveSibling(parts[0]).normalize();
      if (!Files.exists(target) || (parts.length == 2 && !anchors(target).contains(parts[1]))) {
        broken.add(link);
      }
    }
    assertThat(broken).isEmpty();
  }

  /** Anchors of headings, as code hosts make them. */
  private static Set<String> anchors(Path page) throws IOException {
    return Files.readAllLines(page).stream()
        .filter(line -> line.startsWith("#"))
        .map(line ->
            line.replaceFirst("^#+ ", "")
                .toLowerCase(Locale.ROOT)
                .replaceAll("[^\\p{L}\\p{N} _-]", "")
                .replace(' ', '-'))
        .collect(Collectors.toSet());
  }
}
