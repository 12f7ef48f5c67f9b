package io.heatkv.server.http;

import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The files of the page at {@code /}, all that there are; no path leads to another. */
final class PageFiles {
  private static final Map<String, File> FILES =
      Map.of(
          "/", file("index.html", "text/html; charset=utf-8"),
          "/app.js", file("app.js", "text/javascript; charset=utf-8"),
          "/draw.js", file("draw.js", "text/javascript; charset=utf-8"),
          "/style.css", file("style.css", "text/css; charset=utf-8"));

  record File(String type, Buffer content) {}

  private PageFiles() {}

  static Optional<File> at(@Nullable String path) {
    return Optional.ofNullable(path).map(FILES::get);
  }

  private static File file(String name, String type) {
    try (InputStream in = PageFiles.class.getResourceAsStream("/io/heatkv/server/page/" + name)) {
      return new File(type, Buffer.buffer(Objects.requireNonNull(in, name).readAllBytes()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
