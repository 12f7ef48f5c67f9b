package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jbang.catalog.Alias;
import dev.jbang.catalog.Catalog;
import io.heatkv.resource.Release;
import org.junit.jupiter.api.Test;

/**
 * The catalog by which JBang starts the command, as JBang itself reads it. The one published
 * schema, that of JBang's plugin for an editor, ends at Java 17.
 */
class JBangCatalogTest {
  @Test
  void jBangReadsTheReleaseItsJavaAndItsFlags() {
    Catalog catalog = Catalog.get(Program.ROOT.resolve("jbang-catalog.json"));
    assertThat(catalog.description).isNotBlank();
    assertThat(catalog.aliases).containsOnlyKeys("heatkv");
    Alias alias = catalog.aliases.get("heatkv");
    assertThat(alias.description).isNotBlank();
    assertThat(alias.scriptRef)
        .isEqualTo("io.github.heatkv:heatkv-cli:" + Release.version().replace("-SNAPSHOT", ""));
    assertThat(alias.javaVersion).isEqualTo("25");
    // Java 25 until 25.0.3 is unsound with its own choice of a collector.
    assertThat(alias.runtimeOptions)
        .containsExactly("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC");
  }
}
