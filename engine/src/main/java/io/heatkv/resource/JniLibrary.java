package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Native code that a Java library loads by itself, through JNI: ours are the files, its own is the
 * loading, told where they lie.
 *
 * <p>A virtual machine loads a JNI library for one class loader only. Each further class loader of
 * a process therefore gets a copy.
 */
public final class JniLibrary {
  private static final Pattern NEWER =
      Pattern.compile("version `(GLIBC|GLIBCXX)_([\\d.]+)' not found");
  private static final String COUNT = "heatkv.loaded.";
  // One for all class loaders of the process.
  private static final Object LOCK = "io.heatkv.resource.JniLibrary".intern();

  private final String label;
  private final String property;
  private final String told;
  private final Class<?> anchor;
  private final List<ResourceFiles.Item> files;
  private @Nullable Path folder;
  private @Nullable UserException failure;

  /**
   * @param label what it is, for the folder's name and messages
   * @param property of the system in which the library is told where its native files lie
   * @param told what it expects there: the name of one of the files, or none for their folder
   * @param anchor a class of the library, not initialised yet
   * @param resources folder of its native files in its jar
   * @param names of the files
   */
  public JniLibrary(
      String label,
      String property,
      String told,
      Class<?> anchor,
      String resources,
      List<String> names) {
    this.label = label;
    this.property = property;
    this.told = told;
    this.anchor = anchor;
    this.files =
        names.stream().map(name -> new ResourceFiles.Item(resources + "/" + name, name)).toList();
  }

  /** The system as native files are named by: linux or osx. */
  public static String system() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    return os.contains("mac") ? "osx" : "linux";
  }

  /** The processor: aarch64, or the name given for x86-64. */
  public static String processor(String x86) {
    return System.getProperty("os.arch", "").equals("aarch64") ? "aarch64" : x86;
  }

  /**
   * Loads the native code, at the first call.
   *
   * @param load makes the library load it
   * @return the folder of its files
   * @throws UserException if they can't be unpacked or loaded; later calls say so again
   */
  public Path load(Callable<?> load) {
    synchronized (LOCK) {
      if (failure != null) {
        throw failure;
      }
      if (folder == null) {
        folder = loadNow(load);
      }
      return folder;
    }
  }

  private Path loadNow(Callable<?> load) {
    int others = Integer.getInteger(COUNT + label, 0);
    String name = others == 0 ? label : label + "." + (others + 1);
    Path unpacked = new ResourceFiles(name, anchor, files).unpack(CacheFolder.locate());
    Thread thread = Thread.currentThread();
    ClassLoader context = thread.getContextClassLoader();
    // Libraries look for their resources with the caller's.
    thread.setContextClassLoader(anchor.getClassLoader());
    try {
      withProperty(property, unpacked.resolve(told).toString(), load);
      System.setProperty(COUNT + label, String.valueOf(others + 1));
      return unpacked;
    } catch (Exception | LinkageError e) {
      failure =
          new UserException(
              refusal(
                  unpacked.resolve(files.getLast().fileName()), deepest(e), CacheFolder.VARIABLE),
              e);
      throw failure;
    } finally {
      thread.setContextClassLoader(context);
    }
  }

  /**
   * Calls a library that reads a property of the system, which is as it was afterwards.
   *
   * @throws Exception that the call throws
   */
  public static <T> T withProperty(String property, String value, Callable<T> call)
      throws Exception {
    synchronized (LOCK) {
      String before = System.getProperty(property);
      System.setProperty(property, value);
      try {
        return call.call();
      } finally {
        if (before == null) {
          System.clearProperty(property);
        } else {
          System.setProperty(property, before);
        }
      }
    }
  }

  private static String deepest(Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
  }

  /**
   * Why the system's loader won't open a file, and what to do.
   *
   * @param reason as the loader says it
   * @param variable that can name another folder
   */
  public static String refusal(Path file, String reason, String variable) {
    return "native library " + file + " " + cause(reason, variable);
  }

  private static String cause(String reason, String variable) {
    // What Linux and macOS say of a mapping that may not be executed.
    if (reason.contains("failed to map segment")
        || reason.contains("Operation not permitted")
        || reason.contains("not valid for use in process")) {
      return "may not be run: its folder allows no native code (is it mounted noexec?); name another with "
          + variable;
    }
    // What musl's loader says of glibc's.
    if (reason.startsWith("Error relocating") || reason.contains("ld-linux")) {
      return "needs glibc, which this system lacks (Alpine Linux has musl); use a system or an image with glibc, such as debian:bookworm-slim";
    }
    Matcher newer = NEWER.matcher(reason);
    if (newer.find()) {
      return "needs %s %s or newer; use a newer system, such as Debian 12 or Ubuntu 22.04"
          .formatted(newer.group(1).equals("GLIBC") ? "glibc" : "libstdc++", newer.group(2));
    }
    if (reason.contains("libstdc++.so.6")) {
      return "needs libstdc++.so.6; install it (Debian and Ubuntu: apt-get install libstdc++6)";
    }
    return "can't be opened: " + reason + "; is it built for this system?";
  }
}
