package io.heatkv.cli;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.PipeOutput;
import io.heatkv.cli.console.Terminal;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The {@code heatkv} command. */
public final class Main {
  private static final int USER_ERROR = 2;
  private static final char UNREADABLE = '\uFFFD';

  private Main() {}

  /**
   * Runs a command line and ends the process.
   *
   * @throws ReflectiveOperationException never, but for a broken jar
   */
  public static void main(String[] arguments) throws Exception {
    if (runsElsewhere(arguments)) {
      return;
    }
    // Numbers are written alike everywhere.
    Locale.setDefault(Locale.ENGLISH);
    Console console =
        new Console(
            // System.out would keep what went wrong to itself.
            writer(
                new PipeOutput(new FileOutputStream(FileDescriptor.out)),
                System.getProperty("stdout.encoding")),
            writer(System.err, System.getProperty("stderr.encoding")),
            Terminal.isStandardError());
    System.exit(run(console, arguments));
  }

  /** As {@link HeatKv#run}, unless an argument wasn't text in the encoding that Java expects. */
  static int run(Console console, String... arguments) {
    for (String argument : arguments) {
      if (argument.indexOf(UNREADABLE) >= 0) {
        console.message(
            "argument '%s' isn't text in %s, which this process expects; use UTF-8, with LC_ALL=C.UTF-8 where no such locale is set"
                .formatted(argument, System.getProperty("sun.jnu.encoding")));
        return USER_ERROR;
      }
    }
    return HeatKv.run(console, arguments);
  }

  /**
   * In a folder whose name ends with an exclamation mark: the JDK reads it as the end of a jar's
   * name, unless it is escaped.
   */
  private static boolean runsElsewhere(String[] arguments) throws Exception {
    List<URL> escaped = new ArrayList<>();
    boolean found = false;
    for (String element : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(element);
      URI real = (Files.exists(path) ? path.toRealPath() : path).toUri();
      found |= real.toString().contains("!/");
      escaped.add(URI.create(real.toString().replace("!/", "%21/")).toURL());
    }
    if (!found || !ClassLoader.getSystemClassLoader().equals(Main.class.getClassLoader())) {
      return false;
    }
    // Open for as long as the process lives.
    ClassLoader loader =
        new URLClassLoader(escaped.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
    Thread.currentThread().setContextClassLoader(loader);
    loader
        .loadClass(Main.class.getName())
        .getMethod("main", String[].class)
        .invoke(null, (Object) arguments);
    return true;
  }

  /** Text in UTF-8 unless the terminal wants another encoding. */
  private static PrintWriter writer(OutputStream stream, String encoding) {
    Charset charset = encoding == null ? Charset.defaultCharset() : Charset.forName(encoding);
    return new PrintWriter(stream, true, charset);
  }
}
