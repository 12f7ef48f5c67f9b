package io.heatkv.eval.run;

import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import java.util.List;

/**
 * Pictures to draw, and under what.
 *
 * @param prompts what to draw
 * @param seeds pictures of each prompt
 * @param seed of the first picture; the next ones have the next numbers
 * @param grids grids of the scales
 * @param sampling how bits are drawn
 * @param cells policies under budgets
 * @param absent a line for each policy and budget that can't be
 * @param batch pictures that are drawn in one pass
 * @param images prompts, the first ones, whose pictures are kept
 */
public record Evaluation(
    List<String> prompts,
    int seeds,
    long seed,
    ScaleGrids grids,
    SamplingOptions sampling,
    List<Cell> cells,
    List<String> absent,
    int batch,
    int images) {
  public Evaluation {
    prompts = List.copyOf(prompts);
    cells = List.copyOf(cells);
    absent = List.copyOf(absent);
  }

  /** Pictures drawn with the full cache, and under each cell. */
  public int pictures() {
    return Math.multiplyExact(prompts.size(), seeds);
  }

  /** Number of batches. */
  public int batches() {
    return Math.ceilDiv(pictures(), batch);
  }

  /** Number of the prompt of a picture: all pictures of a prompt stand together. */
  public int promptOf(int picture) {
    return picture / seeds;
  }

  /** The seed that draws a picture alone. */
  public long seedOf(int picture) {
    return seed + picture;
  }

  /** Whether a picture is kept. */
  boolean isKept(int picture) {
    return promptOf(picture) < images;
  }
}
