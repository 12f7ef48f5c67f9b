package io.heatkv.testkit.toy;

import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.error.UserException;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelFamily;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import io.heatkv.load.RandomModel;
import io.heatkv.load.Synthesis;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** The family, as META-INF/services names it. */
public final class ToyFamily implements ModelFamily {
  /** Name of the only size. */
  public static final String SIZE = "toy-3";

  static final Network NETWORK =
      new Network(
          "toy transformer",
          "class_embedding",
          "",
          Set.of(),
          false,
          part -> ToyConfig.infer(part).layers() + " layers");

  @Override
  public String name() {
    return "toy";
  }

  @Override
  public List<Network> networks() {
    return List.of(NETWORK);
  }

  @Override
  public FoundModel find(ModelFiles files) {
    List<Path> found = files.of(NETWORK);
    if (found.size() != 1) {
      throw new UserException(
          "%s: holds %d of %s; name one file as the model".formatted(files, found.size(), NETWORK));
    }
    Path file = found.getFirst();
    ToyConfig config = ToyConfig.infer(files.open(NETWORK, file));
    return new FoundModel(
        new ToyDescription(config, file, files), List.of("toy of " + files.shortened(file)));
  }

  @Override
  public List<String> sizes() {
    return List.of(SIZE);
  }

  @Override
  public RandomModel random(String size) {
    return new ToyRandom(new ToyConfig(3));
  }

  @Override
  public void synthesize(Synthesis what, Path folder, ShardedWriter.Progress progress) {
    if (what.text()) {
      throw new UserException("toy models read no text; leave out the text encoder");
    }
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    ToyFiles.write(folder, new ToyConfig(3), what.seed());
  }
}
