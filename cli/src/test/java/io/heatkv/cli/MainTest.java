package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cli.console.Console;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How the command's process begins and ends. */
class MainTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"ein K\uFFFDse", "\uFFFD", "--prompts=\uFFFD.txt"})
  void refusesArgumentsThatWereNoText(String argument) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    Console console = new Console(new PrintWriter(out), new PrintWriter(err), false);
    int status = Main.run(console, "generate", argument, "-o", folder.resolve("a.png").toString());
    new Run(status, out.toString(), err.toString()).assertRefused(argument);
    assertThat(folder).isEmptyDirectory();
  }

  /** Bytes that are no UTF-8, and UTF-8 where the locale has no such letters. */
  @ParameterizedTest
  @ValueSource(strings = {"C.UTF-8", "C"})
  void refusesBytesThatTheLocaleDoesNotKnow(String locale) throws Exception {
    String bytes = locale.equals("C") ? "K\\303\\244se" : "K\\344se";
    ProcessBuilder builder =
        new ProcessBuilder(
            "/bin/sh",
            "-c",
            "exec \"$0\" -cp \"$1\" \"$2\" generate \"$(printf '" + bytes + "')\" -o a.png",
            java(),
            System.getProperty("java.class.path"),
            Main.class.getName());
    builder.environment().put("LC_ALL", locale);
    Process process = builder.directory(folder.toFile()).redirectErrorStream(true).start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(text).contains("heatkv: argument 'K").contains("LC_ALL=C.UTF-8").hasLineCount(1);
    assertThat(process.waitFor()).isEqualTo(2);
    assertThat(folder).isEmptyDirectory();
  }

  @ParameterizedTest
  @ValueSource(strings = {"plain", "wow!", "a!/b!", "p%21q!", "ä!"})
  void theJarMayLieAnywhere(String name) throws Exception {
    Path jar = Files.createDirectories(folder.resolve(name)).resolve("heatkv.jar");
    pack(Path.of("target/classes"), jar);
    List<String> rest =
        Stream.of(System.getProperty("java.class.path").split(":"))
            .filter(element -> !Path.of(element).endsWith(Path.of("cli", "target", "classes")))
            .toList();
    Process process =
        new ProcessBuilder(
                java(),
                "-cp",
                jar + ":" + String.join(":", rest),
                Main.class.getName(),
                "--version")
            .redirectErrorStream(true)
            .start();
    assertThat(process.inputReader().readLine()).startsWith("heatkv ");
    assertThat(process.waitFor()).isZero();
  }

  private static void pack(Path classes, Path jar) throws IOException {
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream packed = new JarOutputStream(out);
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        packed.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, packed);
        packed.closeEntry();
      }
    }
  }

  /** Runs a command when the process is ending already. */
  static final class Late {
    private Late() {}

    public static void main(String[] arguments) {
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(() -> {
                Console console =
                    new Console(new PrintWriter(System.out), new PrintWriter(System.out), false);
                System.out.println("status " + HeatKv.run(console, arguments));
              }));
      System.exit(0);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"generate", "compare", "calibrate"})
  void anInterruptAtTheStartIsNoError(String command) throws Exception {
    Process process =
        new ProcessBuilder(
                java(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Late.class.getName(),
                command,
                "a red apple",
                "-o",
                folder.resolve("a.png").toString())
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(text).isEqualTo("heatkv: interrupted\nstatus 130\n");
    assertThat(folder).isEmptyDirectory();
  }

  /** Else reading the model's files would wait until libtorch is loaded. */
  @Test
  void fileAccessIsLinkedBeforeLibtorchIsLoaded() throws Exception {
    Process process =
        new ProcessBuilder(
                java(),
                "-Xlog:jni+resolve=debug:stdout:none",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "generate",
                "a red apple",
                "-o",
                folder.resolve("none/a.png").toString())
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).isEqualTo(2);
    assertThat(text)
        .containsSubsequence("isOther0", "RawNativeLibraries.load0")
        .containsSubsequence("UnixFileDispatcherImpl.map0", "RawNativeLibraries.load0")
        .containsSubsequence("UnixNativeDispatcher.unlink0", "RawNativeLibraries.load0")
        .containsSubsequence("UnixFileSystem.getSpace0", "RawNativeLibraries.load0");
  }

  /** Two copies of the engine in one process, each with its own JNI libraries, draw the same. */
  @Test
  void twoClassLoadersDrawInOneProcess() throws Exception {
    List<URL> path = new ArrayList<>();
    for (String element : System.getProperty("java.class.path").split(":")) {
      path.add(Path.of(element).toUri().toURL());
    }
    for (String name : List.of("first.png", "second.png")) {
      // Left open: its threads may still be loading classes.
      ClassLoader loader =
          new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
      Constructor<?> console =
          loader.loadClass(Console.class.getName()).getDeclaredConstructors()[0];
      console.setAccessible(true);
      Method run =
          loader
              .loadClass(HeatKv.class.getName())
              .getDeclaredMethod("run", console.getDeclaringClass(), String[].class);
      run.setAccessible(true);
      StringWriter err = new StringWriter();
      Object status =
          run.invoke(
              null,
              console.newInstance(new PrintWriter(err), new PrintWriter(err), false),
              new String[] {
                "generate",
                "a cat",
                "--scales",
                "1x1,2x2",
                "--seed",
                "1",
                "-q",
                "-o",
                folder.resolve(name).toString()
              });
      assertThat(err.toString()).isEmpty();
      assertThat(status).isEqualTo(0);
    }
    assertThat(ImageIO.read(folder.resolve("first.png").toFile()).getWidth()).isPositive();
    assertThat(folder.resolve("second.png")).hasSameBinaryContentAs(folder.resolve("first.png"));
  }

  private static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }
}
