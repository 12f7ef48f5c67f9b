package io.heatkv;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.INTERFACES;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The arrows between packages that keep the design readable. */
class ArchitectureTest {
  private static final String ROOT = "io.heatkv";

  private static final Path TABLE = Path.of("../docs/architecture.md");

  /** What a package may use besides itself, error and the JDK, as the page has it. */
  private static Map<String, Set<String>> arrows() throws IOException {
    Map<String, Set<String>> arrows = new TreeMap<>();
    List<String> lines = Files.readAllLines(TABLE);
    int row = lines.indexOf("| package | role | may use (besides `error`) |") + 2;
    for (; lines.get(row).startsWith("|"); row++) {
      String[] cells = lines.get(row).split("\\|");
      for (String name : cells[1].strip().split(", ")) {
        String from = name.equals("(root)") ? "" : name.replace("`", "");
        arrows.put(from, named(cells[3]));
      }
    }
    return arrows;
  }

  private static Set<String> named(String cell) {
    return Pattern.compile("`([a-z.]+)`")
        .matcher(cell)
        .results()
        .map(match -> match.group(1))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT);

  /** The page's table names every package, and no arrow that isn't there. */
  @Test
  void packagesUseWhatTheirRowSays() throws IOException {
    Map<String, Set<String>> arrows = arrows();
    Map<String, Set<String>> used = new TreeMap<>();
    for (JavaClass type : CLASSES) {
      Set<String> targets = used.computeIfAbsent(name(type), _ -> new TreeSet<>());
      for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
        JavaClass target = dependency.getTargetClass().getBaseComponentType();
        if (target.getPackageName().startsWith(ROOT)) {
          targets.add(name(target));
        }
      }
      targets.remove(name(type));
      targets.remove("error");
    }
    // The root's row names what it may not use, but for the families, which nobody knows.
    Set<String> byTheRoot = used.remove("");
    assertThat(arrows.remove("")).containsExactly("convert").doesNotContainAnyElementsOf(byTheRoot);
    assertThat(used).isEqualTo(arrows);
  }

  private static String name(JavaClass type) {
    String name = type.getPackageName();
    return name.startsWith(ROOT + ".") ? name.substring(ROOT.length() + 1) : "";
  }

  @Test
  void packagesFormNoCycles() {
    slices()
        .assignedFrom(
            new SliceAssignment() {
              @Override
              public SliceIdentifier getIdentifierOf(JavaClass type) {
                return type.getPackageName().startsWith(ROOT)
                    ? SliceIdentifier.of(type.getPackageName())
                    : SliceIdentifier.ignore();
              }

              @Override
              public String getDescription() {
                return "packages";
              }
            })
        .should()
        .beFreeOfCycles()
        .check(CLASSES);
  }

  @Test
  void onlyTheBindingLinksNativeCode() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.heatkv.tensor.libtorch..")
        .should()
        .dependOnClassesThat(
            assignableTo(Linker.class)
                .or(assignableTo(SymbolLookup.class))
                .or(assignableTo(FunctionDescriptor.class)))
        .check(CLASSES);
  }

  @Test
  void theMethodHasNoTensors() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "io.heatkv.scale..", "io.heatkv.schedule..", "io.heatkv.profile..", "io.heatkv.image..")
        .should()
        .transitivelyDependOnClassesThat(resideInAPackage("io.heatkv.tensor.."))
        .check(CLASSES);
  }

  @Test
  void theTransformerKnowsNoPolicy() {
    DescribedPredicate<JavaClass> policy =
        assignableTo(CachePolicy.class)
            .or(assignableTo(KvCache.class).and(DescribedPredicate.not(INTERFACES)));
    noClasses()
        .that()
        .resideInAnyPackage(
            "io.heatkv.infinity",
            "io.heatkv.infinity.vae..",
            "io.heatkv.var",
            "io.heatkv.var.vae..")
        .should()
        .dependOnClassesThat(policy)
        .check(CLASSES);
  }

  /**
   * What is a family's is known in its packages alone, in all modules. One of them lies in the
   * module verify, and compares the insides of its networks with recordings, layer by layer.
   */
  @ParameterizedTest
  @ValueSource(strings = {"infinity", "var"})
  void nobodyKnowsAFamily(String family) throws IOException {
    Set<String> knowing = new TreeSet<>();
    for (Path file : sources("main")) {
      if (Files.readString(file).contains("io.heatkv." + family)) {
        // Behind ../MODULE/src/main/java.
        knowing.add(file.subpath(5, file.getNameCount() - 1).toString());
      }
    }
    assertThat(knowing)
        .containsExactlyInAnyOrder(
            "io/heatkv/" + family,
            "io/heatkv/" + family + "/load",
            "io/heatkv/" + family + "/vae",
            "io/heatkv/verify/" + family);
  }

  /**
   * Sources of all modules.
   *
   * @param kind main or test
   */
  private static List<Path> sources(String kind) throws IOException {
    List<Path> sources = new ArrayList<>();
    try (Stream<Path> modules = Files.list(Path.of(".."))) {
      for (Path module : modules.map(each -> each.resolve("src/" + kind + "/java/io")).toList()) {
        if (Files.isDirectory(module)) {
          try (Stream<Path> files = Files.walk(module)) {
            files.filter(each -> each.toString().endsWith(".java")).forEach(sources::add);
          }
        }
      }
    }
    return sources;
  }

  @Test
  void noFileIsLong() throws IOException {
    for (String kind : List.of("main", "test")) {
      for (Path file : sources(kind)) {
        assertThat(Files.readAllLines(file)).as(file.toString()).hasSizeLessThanOrEqualTo(500);
      }
    }
  }

  @Test
  void aNameIsOneThing() throws IOException {
    assertThat(sources("main").stream().map(file -> file.getFileName().toString()))
        .filteredOn(name -> !name.equals("package-info.java"))
        .isNotEmpty()
        .doesNotHaveDuplicates();
  }

  /** A policy says by its plan what it takes; no other code asks which one it is. */
  @Test
  void nobodyAsksWhichPolicyItIs() throws IOException {
    for (Path file : sources("main")) {
      assertThat(Files.readString(file))
          .as(file.toString())
          .doesNotContainPattern(
              "(?i)policy(\\(\\))? instanceof|instanceof (\\w+Policy|Observation)\\b");
    }
  }

  @Test
  void everyPackageSaysWhatItIsFor() {
    Set<JavaPackage> packages = new HashSet<>();
    CLASSES.forEach(type -> packages.add(type.getPackage()));
    assertThat(packages)
        .isNotEmpty()
        .allSatisfy(each -> assertThat(each.tryGetPackageInfo()).as(each.getName()).isPresent());
  }
}
