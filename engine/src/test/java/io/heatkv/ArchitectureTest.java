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
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The arrows between packages that keep the design readable. */
class ArchitectureTest {
  private static final String ROOT = "io.heatkv";

  /** What a package may use besides itself and the JDK; others are free but for cycles. */
  private static final Map<String, Set<String>> ARROWS =
      Map.ofEntries(
          Map.entry("error", Set.of()),
          Map.entry("json", Set.of("error")),
          Map.entry("resource", Set.of("error")),
          Map.entry("image", Set.of("error")),
          Map.entry("scale", Set.of("error", "json")),
          Map.entry("schedule", Set.of("error", "json", "scale")),
          Map.entry("profile", Set.of("error", "json", "scale", "schedule")),
          Map.entry("checkpoint", Set.of("error", "json")),
          Map.entry("tensor", Set.of("error")),
          Map.entry("tensor.libtorch", Set.of("error", "resource", "tensor")),
          Map.entry("weights", Set.of("error", "checkpoint", "tensor")),
          Map.entry("cache", Set.of("error", "tensor", "scale", "schedule")),
          Map.entry("policy", Set.of("error", "cache", "scale", "schedule")),
          Map.entry("calibrate", Set.of("cache", "tensor", "scale", "schedule")),
          Map.entry("sample", Set.of("error", "tensor", "scale")),
          Map.entry("infinity.vae", Set.of("error", "tensor", "scale", "checkpoint", "weights")),
          Map.entry("text", Set.of("error", "json", "resource", "tensor", "checkpoint", "weights")),
          Map.entry(
              "infinity",
              Set.of("error", "json", "tensor", "scale", "cache", "checkpoint", "weights")));

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT);

  @Test
  void packagesUseOnlyWhatTheirRowAllows() {
    Set<String> wrong = new TreeSet<>();
    Set<String> seen = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      String from = name(type);
      seen.add(from);
      if (ARROWS.containsKey(from)) {
        for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
          JavaClass target = dependency.getTargetClass().getBaseComponentType();
          String to = name(target);
          if (target.getPackageName().startsWith(ROOT)
              && !to.equals(from)
              && !ARROWS.get(from).contains(to)) {
            wrong.add(from + " uses " + to + ": " + dependency.getDescription());
          }
        }
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(seen).contains("scale", "image", "infinity", "cache", "tensor.libtorch");
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
        .resideInAPackage("io.heatkv.infinity..")
        .should()
        .dependOnClassesThat(policy)
        .check(CLASSES);
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
