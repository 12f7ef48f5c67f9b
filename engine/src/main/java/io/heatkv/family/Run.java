package io.heatkv.family;

import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * Neighbouring pictures of equal settings: each run is computed with scalars, as a picture alone
 * is, so that its bits don't depend on its neighbours'.
 *
 * @param first picture
 * @param count of pictures
 * @param sampling of the first; the others' may differ in what doesn't count
 */
public record Run(int first, int count, SamplingOptions sampling) {
  /**
   * Divides pictures into runs.
   *
   * @param setting what must be equal
   */
  public static List<Run> of(List<PictureRequest> pictures, Function<SamplingOptions, ?> setting) {
    List<Run> runs = new ArrayList<>();
    int start = 0;
    for (int i = 1; i <= pictures.size(); i++) {
      SamplingOptions sampling = pictures.get(start).sampling();
      if (i == pictures.size()
          || !setting.apply(pictures.get(i).sampling()).equals(setting.apply(sampling))) {
        runs.add(new Run(start, i - start, sampling));
        start = i;
      }
    }
    return runs;
  }

  /** This run's part of a tensor whose first dimension is the pictures. */
  public Tensor of(Tensor pictures) {
    return count == pictures.size(0) ? pictures : pictures.narrow(0, first, count);
  }

  /** Computes each run's part of a tensor and joins the results. */
  public static Tensor joined(
      List<Run> runs, Tensor pictures, BiFunction<Run, Tensor, Tensor> step) {
    List<Tensor> parts = runs.stream().map(run -> step.apply(run, run.of(pictures))).toList();
    return parts.size() == 1 ? parts.getFirst() : Ops.cat(0, parts);
  }
}
