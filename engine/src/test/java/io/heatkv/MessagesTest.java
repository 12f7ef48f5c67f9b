package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.StringEntry;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The texts of all classes. */
class MessagesTest {
  // One is an option of NVIDIA's compiler, one of Java.
  private static final Pattern OPTION =
      Pattern.compile(
          "(?<![\\w-])--(?!gpu-architecture|enable-native-access)[a-z]"
              + "|heatkv (calibrate|compare|evaluate|generate|import|synth)");

  /** A program that isn't our command has none. */
  @Test
  void noTextNamesOptionsOfTheCommand() throws IOException, URISyntaxException {
    Path root =
        Path.of(ImageGenerator.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Set<String> found = new TreeSet<>();
    int texts = 0;
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(each -> each.toString().endsWith(".class")).toList()) {
        ClassModel type = ClassFile.of().parse(file);
        for (PoolEntry entry : type.constantPool()) {
          if (entry instanceof StringEntry text) {
            texts++;
            if (OPTION.matcher(text.stringValue()).find()) {
              found.add(text.stringValue());
            }
          }
        }
      }
    }
    assertThat(texts).isPositive();
    assertThat(found).isEmpty();
  }
}
