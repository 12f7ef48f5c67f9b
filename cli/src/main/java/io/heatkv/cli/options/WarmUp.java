package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelDescription;
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
import java.util.Optional;
import picocli.CommandLine;

/** What a first picture will need, begun before it is asked for. */
public final class WarmUp {
  private static final List<String> ENDING = List.of("--help", "-h", "--version", "-V");
  private static final List<String> READ = List.of("--libtorch", "--threads", "--device");

  private WarmUp() {}

  /**
   * Begins to open libtorch and devices before options are read: the parser's classes take a tenth
   * of a second. Where it fails, opening it again says why.
   *
   * @param arguments of a command that draws
   */
  public static void library(String... arguments) {
    List<String> all = List.of(arguments);
    if (all.stream().anyMatch(ENDING::contains)
        || (!all.isEmpty() && READ.contains(all.getLast()))) {
      return;
    }
    try {
      Optional<Path> libtorch = value("--libtorch", all).map(Path::of);
      int threads = value("--threads", all).map(Integer::valueOf).orElse(0);
      DeviceList devices = DeviceList.parse(value("--device", all).orElse("cpu"));
      if (threads >= 0 && threads <= LibraryOptions.MOST_THREADS) {
        linkFileAccess();
        LibraryOpening.start(libtorch, threads, devices);
      }
    } catch (UserException | IllegalArgumentException _) {
      // The parser says so.
    }
  }

  /** What follows an option, in a word of its own or behind an equals sign. */
  static Optional<String> value(String option, List<String> arguments) {
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (argument.startsWith(option + "=")) {
        return Optional.of(argument.substring(option.length() + 1));
      }
      if (argument.equals(option) && i + 1 < arguments.size()) {
        return Optional.of(arguments.get(i + 1));
      }
    }
    return Optional.empty();
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

  private static void run(ModelDescription model) {
    try {
      byte[] _ = Png.encode(new PngImage(1, 1, new byte[3]), List.of());
      model.warmUp();
    } catch (RuntimeException _) {
      // The engine meets the same file and says so.
    }
  }
}
