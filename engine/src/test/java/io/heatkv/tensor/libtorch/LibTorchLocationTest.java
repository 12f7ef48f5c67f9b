package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which libtorch is taken, and what is said if there is none. */
class LibTorchLocationTest {
  private final NativePlatform platform = NativePlatform.current();

  @TempDir Path folder;

  private static void refused(ThrowingCallable call, String... parts) {
    assertThatThrownBy(call)
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll(parts)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aFolderWithoutLibtorchIsRefusedWithAHint() throws IOException {
    Path absent = folder.resolve("absent");
    refused(() -> LibTorchLocation.find(absent, folder), absent.toString(), "is not a folder");
    refused(
        () -> LibTorchLocation.find(folder, folder),
        folder.toString(),
        platform.torchCpu(),
        "option");
    Path lib = Files.createDirectory(folder.resolve("lib"));
    Files.createFile(lib.resolve(platform.torchCpu()));
    refused(() -> LibTorchLocation.find(folder, folder), "name its folder lib");
  }

  @Test
  void aFolderIsTakenWithTheFilesItHasInTheOrderOfLoading() throws IOException {
    List<String> names = new ArrayList<>(platform.pytorch());
    names.removeFirst();
    for (String name : names) {
      Files.createFile(folder.resolve(name));
    }
    LibTorchLocation cpu = LibTorchLocation.find(folder, folder.resolve("cache"));
    assertThat(cpu.files()).isEqualTo(names);
    assertThat(cpu.folder()).isEqualTo(folder.toAbsolutePath());
    assertThat(cpu.hasCuda()).isFalse();
    for (String name : platform.cuda()) {
      Files.createFile(folder.resolve(name));
    }
    names.addAll(platform.cuda());
    // As the unpacked natives have them, whose folder may be named, too.
    for (String name : platform.openblas()) {
      Files.createFile(folder.resolve(name));
    }
    names.addAll(0, platform.openblas());
    LibTorchLocation cuda = LibTorchLocation.find(folder, folder.resolve("cache"));
    assertThat(cuda.files()).isEqualTo(names);
    assertThat(cuda.hasCuda()).isEqualTo(!platform.cuda().isEmpty());
    assertThat(folder.resolve("cache")).doesNotExist();
  }

  @Test
  void thePropertyNamesAFolder() throws IOException {
    String before = System.getProperty(LibTorchLocation.PROPERTY);
    try {
      System.setProperty(LibTorchLocation.PROPERTY, folder.toString());
      refused(
          () -> LibTorchLocation.find(null, folder),
          folder.toString(),
          "property " + LibTorchLocation.PROPERTY);
      Files.createFile(folder.resolve(platform.torchCpu()));
      assertThat(LibTorchLocation.find(null, folder).source()).contains(LibTorchLocation.PROPERTY);
    } finally {
      if (before == null) {
        System.clearProperty(LibTorchLocation.PROPERTY);
      } else {
        System.setProperty(LibTorchLocation.PROPERTY, before);
      }
    }
  }

  @Test
  void aFileThatIsNoLibraryIsNamed() throws IOException {
    Files.writeString(folder.resolve(platform.torchCpu()), "no library");
    LibTorchLocation location = LibTorchLocation.find(folder, folder);
    refused(
        () -> NativeLibraries.open(location),
        folder.resolve(platform.torchCpu()).toString(),
        "can't be opened");
  }

  @Test
  void aLibraryWithoutTheFunctionsOfALibtorchOf210IsTooOld() throws IOException {
    Path anyLibrary = Path.of(System.getProperty("java.home"), "lib", System.mapLibraryName("zip"));
    Files.copy(anyLibrary, folder.resolve(platform.torchCpu()));
    LibTorchLocation location = LibTorchLocation.find(folder, folder);
    refused(
        () -> new StableAbi(NativeLibraries.open(location), location),
        folder.toString(),
        "is too old",
        "use libtorch 2.10 or newer");
  }

  @Test
  void aSecondLibtorchInOneProcessIsRefused() throws IOException {
    LibTorch open = (LibTorch) TestDevice.backend();
    Files.createFile(folder.resolve(platform.torchCpu()));
    LibTorchLocation other = LibTorchLocation.find(folder, folder);
    refused(() -> LibTorch.open(other, 1), open.location().folder().toString(), folder.toString());
  }
}
