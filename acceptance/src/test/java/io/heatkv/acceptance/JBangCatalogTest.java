package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.heatkv.json.JsonObject;
import io.heatkv.resource.Release;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The catalog by which JBang starts the command. */
class JBangCatalogTest {
  private static final Path CATALOG = Program.ROOT.resolve("jbang-catalog.json");

  @Test
  void theCatalogIsAsItsSchemaSays() throws Exception {
    Schema schema;
    try (InputStream in =
        JBangCatalogTest.class.getResourceAsStream("/jbang-catalog.schema.json")) {
      schema =
          SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_7)
              .getSchema(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    }
    assertThat(schema.validate(Files.readString(CATALOG), InputFormat.JSON)).isEmpty();
    assertThat(schema.validate("{\"aliases\": {\"x\": {\"java\": 25}}}", InputFormat.JSON))
        .isNotEmpty();
  }

  @Test
  void itNamesTheReleaseOfThisVersion() throws Exception {
    JsonObject catalog = JsonObject.parse(CATALOG, Files.readString(CATALOG));
    assertThat(catalog.object("aliases").object("heatkv").text("script-ref"))
        .isEqualTo("io.github.heatkv:heatkv-cli:" + Release.version().replace("-SNAPSHOT", ""));
  }
}
