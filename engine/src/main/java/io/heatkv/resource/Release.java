package io.heatkv.resource;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.Properties;

/** What Maven built this as. */
public final class Release {
  private Release() {}

  /** Such as 0.1.0. */
  public static String version() {
    Properties properties = new Properties();
    try (InputStream in = Release.class.getResourceAsStream("release.properties")) {
      properties.load(Objects.requireNonNull(in));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }

  /** The line of a POM that brings another of our artifacts, for messages. */
  public static String dependency(String artifact, String type) {
    return "<dependency><groupId>io.github.heatkv</groupId><artifactId>%s</artifactId><version>%s</version>%s</dependency>"
        .formatted(artifact, version(), type.equals("jar") ? "" : "<type>" + type + "</type>");
  }
}
