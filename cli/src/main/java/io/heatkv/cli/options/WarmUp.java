package io.heatkv.cli.options;

import io.heatkv.cli.console.Interruption;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.libtorch.LibTorch;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** What a first picture will need, begun before it is asked for. */
public final class WarmUp {
  private WarmUp() {}

  /**
   * Begins to open libtorch before the other options are read, which takes as long as a small
   * scale. Where it fails, opening it again says why.
   *
   * @param arguments of a command that draws
   */
  public static void library(String... arguments) {
    LibraryOptions options = new LibraryOptions();
    CommandLine parser = strict(new CommandLine(options)).setUnmatchedArgumentsAllowed(true);
    parser.getCommandSpec().mixinStandardHelpOptions(true);
    try {
      ParseResult parsed = parser.parseArgs(arguments);
      if (!parsed.isUsageHelpRequested() && !parsed.isVersionHelpRequested()) {
        linkFileAccess();
        LibraryOpening.start(options);
      }
    } catch (ParameterException _) {
      // The parser of all options says so.
    }
  }

  /**
   * Calls what reads a model's files once. Java looks up a native method when it is first called,
   * and the system's loader lets nobody look up anything while it loads libtorch.
   */
  private static void linkFileAccess() {
    Path file = Path.of(System.getProperty("java.home"), "release");
    try (InputStream in = Files.newInputStream(file);
        FileChannel channel = FileChannel.open(file);
        InputStream old = new FileInputStream(file.toFile());
        Arena arena = Arena.ofConfined()) {
      byte[] _ = in.readNBytes(1);
      MemorySegment _ = channel.map(MapMode.READ_ONLY, 0, 1, arena);
      int _ = old.read(new byte[1]);
      Files.delete(Files.createTempFile("heatkv-", ".tmp"));
      long _ = file.toFile().getUsableSpace();
    } catch (IOException _) {
      // Then the first call waits.
    }
  }

  /** Arguments are what they are: a prompt may begin with an at sign. */
  public static CommandLine strict(CommandLine line) {
    return line.setUseSimplifiedAtFiles(false).setExpandAtFiles(false);
  }

  /** Loads the classes of the model and of PNG while another thread opens libtorch. */
  public static void start(ModelDescription model) {
    Thread.ofPlatform().daemon().name("warm-up").start(() -> run(model));
  }

  /** Makes cuDNN load its parts, as it does at the first call, while weights are loaded. */
  public static void cudnn(LibTorch library, List<Device> devices) {
    List<Device> cuda = devices.stream().filter(Device::isCuda).toList();
    if (!cuda.isEmpty()) {
      Thread thread =
          Thread.ofPlatform()
              .daemon()
              .name("warm-up-cudnn")
              .unstarted(() -> cuda.forEach(device -> cudnn(library, device)));
      Interruption.atEnd(new Thread(() -> LibraryOpening.end(thread)));
      thread.start();
    }
  }

  private static void cudnn(LibTorch library, Device device) {
    try (Scope _ = Scope.open()) {
      Tensor image = Tensor.full(library, 0, DType.BF16, device, 1, 16, 16, 16);
      Tensor weight = Tensor.full(library, 0, DType.BF16, device, 16, 16, 3, 3);
      Tensor bias = Tensor.full(library, 0, DType.BF16, device, 16);
      Tensor _ = Ops.conv2d(image, weight, bias, 1, 1);
      // So many queries that libtorch's cuDNN attends.
      Tensor heads = Tensor.full(library, 0, DType.BF16, device, 1, 1, 512, 128);
      Tensor _ = library.ops(device).attention(heads, heads, heads, 1);
    } catch (RuntimeException _) {
      // The model's own call meets the same and says so.
    }
  }

  private static void run(ModelDescription model) {
    try {
      byte[] _ = Png.encode(new PngImage(1, 1, new byte[3]), List.of());
      model.warmUp();
    } catch (RuntimeException _) {
      // The engine meets the same file and says so.
    }
  }
}
