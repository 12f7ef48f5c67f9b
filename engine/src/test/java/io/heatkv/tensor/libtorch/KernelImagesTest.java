package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.DiskCache;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How often kernels are compiled; a compiler of text stands for NVRTC. */
class KernelImagesTest {
  private static final String PROPERTY = "heatkv.cache";

  private final AtomicInteger compiled = new AtomicInteger();
  private String before = "";

  @TempDir Path folder;

  /** What it makes names all that it was made of. */
  private record Text(String version, AtomicInteger compiled) implements KernelImages.Compiler {
    @Override
    public byte[] compile(String source, List<String> options) throws CudaCompiler.Unavailable {
      compiled.incrementAndGet();
      if (source.isEmpty()) {
        throw new CudaCompiler.Unavailable("nothing to compile");
      }
      return (version + source + options).getBytes(StandardCharsets.UTF_8);
    }
  }

  @BeforeEach
  void nameTheFolder() {
    before = System.getProperty(PROPERTY, "");
    System.setProperty(PROPERTY, folder.toString());
  }

  @AfterEach
  void restoreTheFolder() {
    if (before.isEmpty()) {
      System.clearProperty(PROPERTY);
    } else {
      System.setProperty(PROPERTY, before);
    }
  }

  private static KernelImages.Wanted wanted(String source, String... options) {
    return new KernelImages.Wanted(source, List.of(options));
  }

  /** Images as another process would find them. */
  private KernelImages images(String version) {
    return new KernelImages(new Text(version, compiled), new DiskCache("kernels"));
  }

  private static String text(byte[] image) {
    return new String(image, StandardCharsets.UTF_8);
  }

  @Test
  void aMachineCompilesOnce() throws Exception {
    KernelImages first = images("13.0");
    for (int i = 0; i < 3; i++) {
      assertThat(text(first.get(wanted("a", "sm_90")))).isEqualTo("13.0a[sm_90]");
    }
    assertThat(text(images("13.0").get(wanted("a", "sm_90")))).isEqualTo("13.0a[sm_90]");
    assertThat(compiled).hasValue(1);
  }

  @Test
  void sourceOptionsAndVersionEachTellImagesApart() throws Exception {
    assertThat(text(images("13.0").get(wanted("a", "sm_90", "-DDIM=64"))))
        .isEqualTo("13.0a[sm_90, -DDIM=64]");
    assertThat(text(images("13.0").get(wanted("b", "sm_90", "-DDIM=64")))).startsWith("13.0b");
    assertThat(text(images("13.0").get(wanted("a", "sm_80", "-DDIM=64")))).contains("sm_80");
    assertThat(text(images("13.0").get(wanted("a", "sm_90", "-DDIM=128")))).contains("128");
    assertThat(text(images("12.8").get(wanted("a", "sm_90", "-DDIM=64")))).startsWith("12.8");
    assertThat(compiled).hasValue(5);
  }

  @Test
  void aDamagedImageIsCompiledAnew() throws Exception {
    byte[] whole = images("13.0").get(wanted("a"));
    try (var files = Files.list(CacheFolder.locate().resolve("kernels"))) {
      for (Path file : files.toList()) {
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
      }
    }
    assertThat(images("13.0").get(wanted("a"))).isEqualTo(whole);
    assertThat(compiled).hasValue(2);
    assertThat(images("13.0").get(wanted("a"))).isEqualTo(whole);
    assertThat(compiled).hasValue(2);
  }

  /** A driver may refuse what was kept. */
  @Test
  void aRefusedImageIsCompiledAnew() throws Exception {
    images("13.0").get(wanted("a"));
    KernelImages later = images("13.0");
    assertThat(later.anew(wanted("a"))).isEqualTo(later.get(wanted("a")));
    assertThat(compiled).hasValue(2);
  }

  /** Each compilation waits for the other: one after the other would never end. */
  @Test
  void severalAreCompiledAtOnceAndUsersWait() throws Exception {
    CountDownLatch both = new CountDownLatch(2);
    KernelImages images =
        new KernelImages(
            new KernelImages.Compiler() {
              @Override
              public String version() {
                return "13.0";
              }

              @Override
              public byte[] compile(String source, List<String> options) {
                both.countDown();
                try {
                  assertThat(both.await(60, TimeUnit.SECONDS)).isTrue();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
                compiled.incrementAndGet();
                return source.getBytes(StandardCharsets.UTF_8);
              }
            },
            new DiskCache("kernels"));
    images.begin(wanted("a"));
    images.begin(wanted("a"));
    images.begin(wanted("b"));
    assertThat(text(images.get(wanted("a")))).isEqualTo("a");
    assertThat(text(images.get(wanted("b")))).isEqualTo("b");
    assertThat(compiled).hasValue(2);
  }

  @Test
  void whatCantBeCompiledSaysSoEachTime() {
    KernelImages images = images("13.0");
    images.begin(wanted(""));
    for (int i = 0; i < 2; i++) {
      assertThatThrownBy(() -> images.get(wanted("")))
          .isInstanceOf(CudaCompiler.Unavailable.class)
          .hasMessage("nothing to compile");
    }
  }

  /** Begins what takes a while, and ends. */
  static final class Ending {
    private Ending() {}

    public static void main(String[] arguments) {
      KernelImages.Compiler slow =
          new KernelImages.Compiler() {
            @Override
            public String version() {
              return "slow";
            }

            @Override
            public byte[] compile(String source, List<String> options) {
              LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(300));
              System.out.print("compiled");
              return new byte[1];
            }
          };
      new KernelImages(slow, new DiskCache("kernels")).begin(wanted("kernel"));
      System.exit(0);
    }
  }

  @Test
  void aProcessThatEndsWaitsForTheCompiler() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-D" + PROPERTY + "=" + folder,
                "-cp",
                System.getProperty("java.class.path"),
                Ending.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertThat(process.inputReader().readAllAsString()).isEqualTo("compiled");
    assertThat(process.waitFor()).isZero();
  }
}
