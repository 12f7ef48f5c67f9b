package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What other programs see of the engine. */
class ModuleTest {
  private static ModuleDescriptor module;

  @BeforeAll
  static void read() throws Exception {
    Path root =
        Path.of(ImageGenerator.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (InputStream in = Files.newInputStream(root.resolve("module-info.class"))) {
      module = ModuleDescriptor.read(in);
    } catch (IOException e) {
      throw new AssertionError("the engine is compiled as a module", e);
    }
  }

  private static Set<String> exported() {
    return module.exports().stream()
        .map(ModuleDescriptor.Exports::source)
        .collect(Collectors.toSet());
  }

  @Test
  void packagesAreExportedThatProgramsNeed() {
    assertThat(module.name()).isEqualTo("io.heatkv.engine");
    assertThat(module.exports()).noneMatch(ModuleDescriptor.Exports::isQualified);
    assertThat(exported())
        .containsExactlyInAnyOrder(
            "io.heatkv",
            "io.heatkv.cache",
            "io.heatkv.checkpoint",
            "io.heatkv.convert",
            "io.heatkv.error",
            "io.heatkv.family",
            "io.heatkv.image",
            "io.heatkv.load",
            "io.heatkv.policy",
            "io.heatkv.profile",
            "io.heatkv.sample",
            "io.heatkv.scale",
            "io.heatkv.schedule",
            "io.heatkv.tensor",
            "io.heatkv.tensor.libtorch",
            "io.heatkv.weights");
    assertThat(module.uses())
        .containsExactlyInAnyOrder("io.heatkv.load.ModelFamily", "io.heatkv.policy.PolicyProvider");
  }

  @Test
  void whatIsShownShowsNothingHidden() {
    Set<String> shown = exported();
    Set<String> found = new TreeSet<>();
    for (JavaClass type :
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("io.heatkv")) {
      if (isPublic(type) && shown.contains(type.getPackageName())) {
        for (JavaMember member : type.getMembers()) {
          for (JavaClass seen : member.getAllInvolvedRawTypes()) {
            JavaClass other = seen.getBaseComponentType();
            boolean isOurs = other.getPackageName().startsWith("io.heatkv");
            if (member.getModifiers().contains(JavaModifier.PUBLIC)
                && isOurs
                && !(isPublic(other) && shown.contains(other.getPackageName()))) {
              found.add(type.getName() + " shows " + other.getName());
            }
          }
        }
      }
    }
    assertThat(found).isEmpty();
  }

  private static boolean isPublic(JavaClass type) {
    return type.getModifiers().contains(JavaModifier.PUBLIC)
        && type.getEnclosingClass().map(ModuleTest::isPublic).orElse(true);
  }
}
