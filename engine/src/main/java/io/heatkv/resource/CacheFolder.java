package io.heatkv.resource;

import java.nio.file.Path;
import java.util.Locale;

/** Where unpacked files are kept between runs. */
public final class CacheFolder {
  private CacheFolder() {}

  /**
   * The folder named by the system property {@code heatkv.cache} or the environment variable {@code
   * HEATKV_CACHE}, else the platform's usual one. It may not exist yet.
   */
  public static Path locate() {
    String named = System.getProperty("heatkv.cache", System.getenv("HEATKV_CACHE"));
    if (named != null && !named.isBlank()) {
      return Path.of(named).toAbsolutePath();
    }
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    Path home = Path.of(System.getProperty("user.home", "."));
    if (os.contains("mac")) {
      return home.resolve("Library/Caches/heatkv");
    }
    if (os.contains("windows")) {
      return folder("LOCALAPPDATA", home.resolve("AppData/Local")).resolve("heatkv/cache");
    }
    return folder("XDG_CACHE_HOME", home.resolve(".cache")).resolve("heatkv");
  }

  private static Path folder(String variable, Path otherwise) {
    String value = System.getenv(variable);
    return value == null || value.isBlank() ? otherwise : Path.of(value);
  }
}
