package io.heatkv.infinity.load;

import io.heatkv.load.FoundModel;
import io.heatkv.load.HubCache;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import java.nio.file.Path;
import java.util.List;

/** Finds models with a hub's cache of the test's own. */
public final class Finding {
  /** As {@link FoundModel}. */
  public record Found(InfinityDescription description, List<String> notes) {
    static Found of(FoundModel found) {
      return new Found((InfinityDescription) found.description(), found.notes());
    }
  }

  private Finding() {}

  public static Found find(List<Path> sources, HubCache hub) {
    return Found.of(ModelFinder.find(ModelFiles.scan(sources, InfinityNetworks.ALL), hub));
  }

  static Found beside(Path file, HubCache hub) {
    List<Network> drawing = List.of(InfinityNetworks.TRANSFORMER);
    return Found.of(ModelFinder.find(ModelFiles.beside(file, InfinityNetworks.ALL, drawing), hub));
  }
}
