package org.example;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.Candidates;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.PositionRule;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.policy.PolicyProvider;
import io.heatkv.scale.ScaleGrids;

/** Keeps the first scale, then the black fields of every map, newest scales first. */
public final class Checkerboard implements PositionRule, PolicyProvider {
  private static final double BLACK = 100;

  @Override
  public String name() {
    return "checkerboard";
  }

  @Override
  public CachePolicy create(PolicyInputs inputs) {
    return new EvictionPolicy(name(), this, inputs.ratio(), inputs.storage());
  }

  @Override
  public int least(ScaleGrids grids) {
    return grids.tokens(0) + 1;
  }

  @Override
  public double[] scores(Candidates candidates) {
    ScaleGrids grids = candidates.grids();
    double[] scores = new double[candidates.count()];
    for (int source = 0; source <= candidates.scale(); source++) {
      int columns = grids.size(source).width();
      int end = candidates.firstFrom(source + 1);
      for (int i = candidates.firstFrom(source); i < end; i++) {
        int token = candidates.token(i) - grids.offset(source);
        boolean isBlack = (token / columns + token % columns) % 2 == 0;
        scores[i] = isBlack ? BLACK + source : source;
        if (source == 0) {
          scores[i] = Double.POSITIVE_INFINITY;
        }
      }
    }
    return scores;
  }
}
