package io.heatkv.var.load;

import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelFamily;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import io.heatkv.load.RandomModel;
import io.heatkv.load.Synthesis;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarConfig;
import io.heatkv.var.vae.VqConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** VAR: next-scale prediction of a codebook's entries from classes. */
public final class VarFamily implements ModelFamily {
  @Override
  public String name() {
    return "var";
  }

  @Override
  public List<Network> networks() {
    return VarNetworks.ALL;
  }

  /** Sizes come from the weights' shapes, the rest is as in the official demo. */
  @Override
  public FoundModel find(ModelFiles files) {
    if (files.of(VarNetworks.IMAGE_TOKENIZER).isEmpty()) {
      files.widen();
    }
    List<Path> transformers = files.of(VarNetworks.TRANSFORMER);
    List<Path> named = transformers.stream().filter(files::isNamed).toList();
    Path transformer =
        onlyOne(
            files,
            VarNetworks.TRANSFORMER,
            named.isEmpty() ? transformers : named,
            "put var_d16.pth there");
    VarConfig config = VarConfig.infer(files.open(VarNetworks.TRANSFORMER, transformer));
    Path vae = imageTokenizer(files, transformer, config);
    VqConfig tokenizer = tokenizer(files, vae);
    List<Path> profiles = files.profiles();
    VarDescription model =
        new VarDescription(
            config,
            transformer,
            tokenizer,
            vae,
            profiles.size() == 1 ? Optional.of(profiles.getFirst()) : Optional.empty(),
            files);
    List<String> notes = new ArrayList<>();
    notes.add(
        "%s by its shapes: depth %d, width %d, %d heads, %d classes, grids %s; transformer %s, image tokenizer %s"
            .formatted(
                model.name(),
                config.depth(),
                config.width(),
                config.heads(),
                config.classes(),
                config.grids(),
                files.shortened(transformer),
                files.shortened(vae)));
    model.profile().ifPresent(file -> notes.add("calibration profile " + files.shortened(file)));
    if (profiles.size() > 1) {
      notes.add(
          "left aside: several calibration profiles (%s); name one of them as the profile"
              .formatted(names(files, profiles)));
    }
    files.problems().forEach(problem -> notes.add("left aside: " + problem.getMessage()));
    return new FoundModel(model, notes);
  }

  /**
   * That which is named beside the transformer, else that which a trainer saved in its file, else
   * one that lies there; of its codebook.
   */
  private static Path imageTokenizer(ModelFiles files, Path transformer, VarConfig config) {
    List<Path> all = files.of(VarNetworks.IMAGE_TOKENIZER);
    List<Path> named =
        all.stream()
            .filter(file -> files.isNamed(file) && !ModelFiles.isSame(file, transformer))
            .toList();
    List<Path> own = all.stream().filter(file -> ModelFiles.isSame(file, transformer)).toList();
    List<Path> meant = !named.isEmpty() ? named : own.isEmpty() ? all : own;
    List<Path> fitting =
        meant.stream()
            .filter(file -> tokenizer(files, file).isCodebook(config.entries(), config.channels()))
            .toList();
    if (fitting.isEmpty() && !meant.isEmpty()) {
      tokenizer(files, meant.getFirst())
          .requireCodebook(config.entries(), config.channels(), meant.getFirst(), transformer);
    }
    return onlyOne(files, VarNetworks.IMAGE_TOKENIZER, fitting, "put vae_ch160v4096z32.pth there");
  }

  private static VqConfig tokenizer(ModelFiles files, Path file) {
    return VqConfig.infer(files.open(VarNetworks.IMAGE_TOKENIZER, file));
  }

  private static Path onlyOne(ModelFiles files, Network network, List<Path> found, String advice) {
    if (found.isEmpty()) {
      throw new UserException(
          "%s: found no %s; %s"
              .formatted(
                  files,
                  network,
                  files.problems().isEmpty() ? advice : files.problems().getFirst().getMessage()));
    }
    if (found.size() > 1) {
      throw new UserException(
          "%s: holds more than one %s (%s); name one file as the model"
              .formatted(files, network, names(files, found)),
          Remedy.CHOICE_OF_FILES);
    }
    return found.getFirst();
  }

  private static String names(ModelFiles files, List<Path> paths) {
    return paths.stream().map(files::shortened).collect(Collectors.joining(", "));
  }

  @Override
  public List<String> sizes() {
    return Arrays.stream(PublishedVar.values()).map(Object::toString).toList();
  }

  @Override
  public RandomModel random(String size) {
    return RandomVar.of(size);
  }

  @Override
  public void synthesize(Synthesis what, Path folder, ShardedWriter.Progress progress) {
    VarFolder.synthesize(what, folder, progress);
  }
}
