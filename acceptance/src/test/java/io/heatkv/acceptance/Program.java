package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A program that ran, as somebody would start it.
 *
 * @param status its exit status
 * @param text what it printed to both streams
 */
record Program(int status, String text) {
  /** The checkout. */
  static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

  // Neither what is built nor what only tests read.
  private static final Set<String> LEFT_OUT = Set.of("target", ".git", "node_modules", "test");

  static Program run(Path folder, Map<String, String> environment, String... command)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(List.of(command)).directory(folder.toFile()).redirectErrorStream(true);
    // Waiting for a second thread costs more on a busy machine.
    builder.environment().put("OMP_NUM_THREADS", "1");
    builder.environment().putAll(environment);
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Program(process.waitFor(), text);
  }

  Program succeeded() {
    assertThat(status).as(text).isZero();
    return this;
  }

  /** Copies the sources of the checkout, and what was compiled of them. */
  static void copyCheckout(Path target) throws IOException {
    Files.walkFileTree(
        ROOT,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes)
              throws IOException {
            String name = folder.getFileName().toString();
            if (name.equals("target") && Files.isDirectory(folder.resolve("classes"))) {
              copy(folder.resolve("classes"), target.resolve(ROOT.relativize(folder)));
            }
            if (LEFT_OUT.contains(name)) {
              return FileVisitResult.SKIP_SUBTREE;
            }
            Files.createDirectories(target.resolve(ROOT.relativize(folder)));
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            copyFile(file, target.resolve(ROOT.relativize(file)));
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /** Copies a folder into another. */
  static void copy(Path folder, Path into) throws IOException {
    try (var files = Files.walk(folder)) {
      for (Path file : files.toList()) {
        Path target = into.resolve(folder.getParent().relativize(file));
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          copyFile(file, target);
        }
      }
    }
  }

  private static void copyFile(Path file, Path target) throws IOException {
    Files.copy(
        file, target, StandardCopyOption.COPY_ATTRIBUTES, StandardCopyOption.REPLACE_EXISTING);
  }
}
