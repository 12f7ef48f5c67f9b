package io.heatkv.server.core;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.MemoryNeed;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Forms of passes by what requests say, made once: planning a policy takes longer than asking. */
public final class Forms {
  // A client may name any number of budgets.
  private static final int KEPT = 128;

  private static final String ALL = "1";

  private final ServedModel model;
  private final Map<Key, Form> kept =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Key, Form> eldest) {
          return size() > KEPT;
        }
      };

  private record Key(
      ScaleGrids grids,
      String policy,
      String budget,
      boolean guided,
      boolean onLogits,
      Set<Integer> layers) {}

  public Forms(ServedModel model) {
    this.model = model;
  }

  /**
   * The form of pictures.
   *
   * @param policy name
   * @param budget of it
   * @throws io.heatkv.error.UserException if the policy or its budget can't be had, or the model
   *     can't draw the scales
   */
  public Form of(ScaleGrids grids, String policy, String budget, SamplingOptions sampling) {
    Key key =
        new Key(
            grids,
            policy,
            budget,
            sampling.isGuided(),
            sampling.guidanceOnLogits(),
            sampling.guidedLayers());
    synchronized (kept) {
      Form known = kept.get(key);
      if (known == null) {
        known = make(grids, model.policy(policy, budget, grids), sampling);
        kept.put(key, known);
      }
      return known;
    }
  }

  /**
   * The form of pictures whose policy keeps all tokens.
   *
   * @throws io.heatkv.error.UserException if the model can't draw the scales
   */
  public Form whole(ScaleGrids grids, String policy, SamplingOptions sampling) {
    return of(grids, policy, ALL, sampling);
  }

  private Form make(ScaleGrids grids, CachePolicy policy, SamplingOptions sampling) {
    model.model().requireDrawable(grids);
    PictureRequest picture = new PictureRequest(model.samplePrompt(), 0, sampling);
    Form form =
        new Form(
            grids,
            policy,
            pictures ->
                model.need(
                    new GenerationRequest(Collections.nCopies(pictures, picture), grids, policy)));
    // What can't be told is said now.
    MemoryNeed _ = form.need(1);
    return form;
  }
}
