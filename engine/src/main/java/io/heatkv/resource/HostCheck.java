package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Collections;
import java.util.List;

/** What makes a process unfit for the engine, before native code could crash in it. */
public final class HostCheck {
  private static final String COLLECTOR = "G1 ";

  private HostCheck() {}

  /**
   * @throws UserException if this Java is unsound, or the class path has the engine twice
   */
  public static void require() {
    boolean isG1 =
        isUnsound(Runtime.version())
            && ManagementFactory.getGarbageCollectorMXBeans().stream()
                .anyMatch(bean -> bean.getName().startsWith(COLLECTOR));
    requireSound(Runtime.version(), isG1);
    requireOne(copies(HostCheck.class));
  }

  /** Whether a Java can corrupt arrays that native code holds, which it does with G1. */
  public static boolean isUnsound(Runtime.Version version) {
    return version.feature() == 25 && version.interim() == 0 && version.update() < 3;
  }

  static void requireSound(Runtime.Version version, boolean isG1) {
    if (isUnsound(version) && isG1) {
      throw new UserException(
          "Java %s can corrupt arrays with G1 (JDK-8377811); install 25.0.3 or newer, or start it with -XX:+UseSerialGC"
              .formatted(version));
    }
  }

  /** Where a class lies that a loader of its own finds, in the order of the class path. */
  static List<URL> copies(Class<?> type) {
    String resource = type.getName().replace('.', '/') + ".class";
    ClassLoader loader = type.getClassLoader();
    try {
      // A parent may have the engine, too: each loader has one then.
      return loader instanceof URLClassLoader own
          ? Collections.list(own.findResources(resource))
          : ClassLoader.getSystemClassLoader().equals(loader)
              ? Collections.list(loader.getResources(resource))
              : List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void requireOne(List<URL> copies) {
    if (copies.size() > 1) {
      throw new UserException(
          "the class path has the engine %d times: %s; keep one of them"
              .formatted(
                  copies.size(),
                  String.join(" and ", copies.stream().map(HostCheck::place).toList())));
    }
  }

  /** The jar or folder that holds a class. */
  private static String place(URL copy) {
    return copy.toString()
        .replaceFirst("^jar:", "")
        .replaceFirst("^file:(//)?", "")
        .replaceFirst("!?/io/heatkv/resource/HostCheck\\.class$", "");
  }
}
