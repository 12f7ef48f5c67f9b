package io.heatkv.verify.infinity;

import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.tensor.Scope;
import io.heatkv.verify.Check;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Runs of the transformer with everything kept, one file a template. */
public final class GoldenRuns implements GoldenReader {
  private static final Pattern FILE = Pattern.compile("full_(\\d{1,2}\\.?\\d{0,5})\\.safetensors");

  @Override
  public boolean isIn(Golden golden) {
    return GoldenInfinity.isIn(golden) && !golden.files(FILE).isEmpty();
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    try (GoldenInfinity infinity = GoldenInfinity.open(golden)) {
      for (String file : golden.files(FILE)) {
        Matcher name = FILE.matcher(file);
        if (name.matches()) {
          try (Checkpoint recorded = golden.open(file);
              Scope _ = Scope.open()) {
            new GoldenTransformer(infinity.model(), infinity.text(0), recorded)
                .run(
                    "full " + name.group(1),
                    infinity.grids(name.group(1), GoldenTransformer.scales(recorded)),
                    infinity.nearTies(file),
                    CachePolicy.FULL,
                    checks);
          }
        }
      }
    }
  }
}
