package io.heatkv.infinity.load;

import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.load.FoundModel;
import io.heatkv.load.HubCache;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFamily;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import io.heatkv.load.RandomModel;
import io.heatkv.load.Synthesis;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Infinity: bitwise next-scale prediction from texts. */
public final class InfinityFamily implements ModelFamily {
  @Override
  public String name() {
    return "infinity";
  }

  @Override
  public List<Network> networks() {
    return InfinityNetworks.ALL;
  }

  @Override
  public Optional<ModelDescription> described(Path folder) {
    return Files.exists(folder.resolve(InfinityDescription.FILE))
            && ModelPins.read(folder).areWhole()
        ? Optional.of(InfinityDescription.read(folder))
        : Optional.empty();
  }

  @Override
  public FoundModel find(ModelFiles files) {
    return ModelFinder.find(files, HubCache.locate());
  }

  @Override
  public Optional<ScaleGrids> grids(String resolution, Optional<AspectRatio> aspect) {
    return Resolution.find(resolution)
        .map(aspect.map(ScaleTemplate::nearest).orElse(ScaleTemplate.nearest(1))::grids);
  }

  @Override
  public List<String> sizes() {
    return Arrays.stream(PublishedModel.values()).flatMap(model -> model.names().stream()).toList();
  }

  @Override
  public RandomModel random(String size) {
    return RandomInfinity.of(size);
  }

  @Override
  public void synthesize(Synthesis what, Path folder, ShardedWriter.Progress progress) {
    SyntheticModel.write(what, folder, progress);
  }
}
