package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonObject;
import io.heatkv.resource.Release;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** {@code mvn -Prelease} fills a repository, and projects outside of this one build on it. */
class ReleaseTest {
  private static final String GROUP = "io/github/heatkv";
  private static final String VERSION = Release.version();

  @TempDir private static Path folder;
  private static Path checkout;
  private static Path local;
  private static Path repository;

  /** An artifact by its files, named by what follows artifact and version. */
  private record Artifact(String name, Map<String, Path> files) {
    Element pom() throws Exception {
      DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
      factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
      Document document = factory.newDocumentBuilder().parse(files.get(".pom").toFile());
      return document.getDocumentElement();
    }

    boolean isJar() throws Exception {
      return text(pom(), "packaging").isEmpty() || text(pom(), "packaging").equals("jar");
    }
  }

  @BeforeAll
  static void release() throws Exception {
    checkout = folder.resolve("checkout");
    Program.copyCheckout(checkout);
    local = withoutHeatKv();
    Program.run(
            checkout,
            Map.of(),
            "mvn",
            "-B",
            "-q",
            "-T2",
            "-Prelease",
            "-Dmaven.repo.local=" + local,
            // What is compiled is what the build before these tests compiled.
            "-Dmaven.main.skip=true",
            "-Dmaven.test.skip=true",
            "-Dspotless.check.skip=true",
            "-pl",
            "!clients,!benchmarks")
        .succeeded();
    repository = checkout.resolve("target/repository");
  }

  private static List<Artifact> artifacts() throws IOException {
    List<Artifact> artifacts = new ArrayList<>();
    try (Stream<Path> names = Files.list(repository.resolve(GROUP))) {
      for (Path name : names.sorted().toList()) {
        Map<String, Path> files = new TreeMap<>();
        String prefix = name.getFileName() + "-" + VERSION.replace("-SNAPSHOT", "");
        try (Stream<Path> of = Files.list(name.resolve(VERSION))) {
          for (Path file : of.toList()) {
            String text = file.getFileName().toString();
            if (text.startsWith(prefix) && !text.matches(".*\\.(md5|sha1)")) {
              // Snapshots have a time and a number.
              files.put(
                  text.substring(prefix.length()).replaceFirst("^-\\d{8}\\.\\d{6}-\\d+", ""), file);
            }
          }
        }
        artifacts.add(new Artifact(name.getFileName().toString(), files));
      }
    }
    return artifacts;
  }

  private static List<Element> children(Element parent, String name) {
    NodeList nodes = parent.getChildNodes();
    return IntStream.range(0, nodes.getLength())
        .mapToObj(nodes::item)
        .filter(node -> node instanceof Element element && element.getTagName().equals(name))
        .map(Element.class::cast)
        .toList();
  }

  private static String text(Element parent, String name) {
    return children(parent, name).stream()
        .findFirst()
        .map(element -> element.getTextContent().strip())
        .orElse("");
  }

  /** What Maven Central asks of a POM, here or in the parent's. */
  @Test
  void pomsAreComplete() throws Exception {
    Map<String, Artifact> all =
        artifacts().stream().collect(Collectors.toMap(Artifact::name, each -> each));
    Element parent = all.get("heatkv-parent").pom();
    for (Artifact artifact : all.values()) {
      Element pom = artifact.pom();
      for (String own : List.of("name", "description", "artifactId")) {
        assertThat(text(pom, own)).as(artifact.name() + " " + own).isNotEmpty();
      }
      for (String shared : List.of("groupId", "version", "url", "licenses", "developers", "scm")) {
        List<Element> where = children(pom, "parent").isEmpty() ? List.of(pom) : List.of(parent);
        assertThat(text(where.getFirst(), shared)).as(artifact.name() + " " + shared).isNotEmpty();
      }
    }
  }

  @Test
  void jarsHaveAModuleSourcesAndJavadoc() throws Exception {
    int jars = 0;
    for (Artifact artifact : artifacts()) {
      if (!artifact.isJar()) {
        assertThat(artifact.files()).doesNotContainKey(".jar");
        continue;
      }
      jars++;
      assertThat(artifact.files())
          .as(artifact.name())
          .containsKeys(".jar", "-sources.jar", "-javadoc.jar");
      try (JarFile jar = new JarFile(artifact.files().get(".jar").toFile())) {
        String module = jar.getManifest().getMainAttributes().getValue("Automatic-Module-Name");
        assertThat(module).as(artifact.name()).matches("io\\.heatkv(\\.[a-z0-9]+)+");
      }
    }
    assertThat(jars).isGreaterThanOrEqualTo(11);
  }

  @Test
  void eachHasAListOfItsMaterials() throws Exception {
    for (Artifact artifact : artifacts()) {
      if (!artifact.name().equals("heatkv-bom")) {
        Path file = artifact.files().get("-cyclonedx.json");
        assertThat(file).as(artifact.name()).isNotNull();
        JsonObject json = JsonObject.parse(file, Files.readString(file));
        assertThat(json.text("bomFormat")).isEqualTo("CycloneDX");
      }
    }
  }

  @Test
  void theBomNamesAllAndNothingElse() throws Exception {
    Set<String> published =
        artifacts().stream().map(Artifact::name).collect(Collectors.toCollection(TreeSet::new));
    Element bom =
        artifacts().stream()
            .filter(each -> each.name().equals("heatkv-bom"))
            .findFirst()
            .orElseThrow()
            .pom();
    Element managed =
        children(children(bom, "dependencyManagement").getFirst(), "dependencies").getFirst();
    Set<String> named = new TreeSet<>(Set.of("heatkv-bom", "heatkv-parent"));
    children(managed, "dependency").forEach(each -> named.add(text(each, "artifactId")));
    assertThat(named).isEqualTo(published);
  }

  /** A platform's natives come by its own POM; CUDA's by none. */
  @Test
  void nativesComeByTheirOwnPomsOnly() throws Exception {
    for (Artifact artifact : artifacts()) {
      List<Element> groups = children(artifact.pom(), "dependencies");
      List<Element> dependencies =
          groups.isEmpty() ? List.of() : children(groups.getFirst(), "dependency");
      List<String> classifiers =
          dependencies.stream()
              .filter(each -> text(each, "groupId").equals("org.bytedeco"))
              .map(each -> text(each, "classifier"))
              .distinct()
              .toList();
      assertThat(classifiers)
          .as(artifact.name())
          .isEqualTo(
              artifact.name().startsWith("heatkv-natives-")
                  ? List.of(artifact.name().substring("heatkv-natives-".length()))
                  : List.of());
    }
  }

  /** Without this checkout, and without what others may have put into the user's own repository. */
  @Test
  void outsideProjectsDrawWithThreeLines() throws Exception {
    Path examples = folder.resolve("examples");
    Program.copy(checkout.resolve("examples"), folder);
    Program built =
        Program.run(
            examples,
            Map.of(),
            "mvn",
            "-B",
            "-q",
            "-Dmaven.repo.local=" + local,
            "-Dheatkv.repository=" + repository.toUri(),
            "-Dheatkv.version=" + VERSION,
            "compile",
            "exec:exec");
    built.succeeded();
    List<byte[]> pictures = new ArrayList<>();
    for (String example : List.of("library", "langchain4j", "spring-ai")) {
      Path source = examples.resolve(example + "/src/main/java/Apple.java");
      assertThat(Files.readAllLines(source)).hasSizeLessThan(40);
      Path picture = examples.resolve(example + "/apple.png");
      assertThat(Png.readMetadata(picture))
          .extracting(PngText::text)
          .containsExactly("a red apple with a green leaf\nSeed: 1, Size: 256x256");
      pictures.add(Files.readAllBytes(picture));
    }
    assertThat(pictures).allMatch(each -> Arrays.equals(each, pictures.getFirst()));
    assertThat(
            Files.readAllLines(examples.resolve("library/pom.xml")).stream()
                .filter(line -> line.contains("<dependency>")))
        .hasSize(3);
  }

  /** The user's repository of Maven by links, but for our group. */
  private static Path withoutHeatKv() throws IOException {
    Path own = Path.of(System.getProperty("localRepository"));
    Path linked = folder.resolve("repository");
    for (String level : List.of("", "io", "io/github")) {
      Path target = Files.createDirectories(linked.resolve(level));
      Path source = Files.createDirectories(own.resolve(level));
      try (Stream<Path> entries = Files.list(source)) {
        for (Path entry : entries.toList()) {
          String name = source.relativize(entry).toString();
          if (!Set.of("io", "github", "heatkv").contains(name) || !isOnTheWay(level, name)) {
            Files.createSymbolicLink(target.resolve(name), entry);
          }
        }
      }
    }
    return linked;
  }

  private static boolean isOnTheWay(String level, String name) {
    return (level + "/" + name).matches("/io|io/github|io/github/heatkv");
  }

  @Test
  void theJarOfTheCommandStartsOnAnyJava() throws Exception {
    Artifact cli =
        artifacts().stream()
            .filter(each -> each.name().equals("heatkv-cli"))
            .findFirst()
            .orElseThrow();
    try (JarFile jar = new JarFile(cli.files().get(".jar").toFile())) {
      String main = jar.getManifest().getMainAttributes().getValue("Main-Class");
      assertThat(main).isEqualTo("io.heatkv.cli.Start");
      try (InputStream in = jar.getInputStream(jar.getEntry(main.replace('.', '/') + ".class"))) {
        // The major version of the class file: Java 8.
        assertThat(in.readNBytes(8)[7]).isEqualTo((byte) 52);
      }
    }
  }
}
