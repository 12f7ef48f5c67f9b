package io.heatkv.infinity;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;

/**
 * Cosines and sines of the 2-D rotary embedding for the tokens of all grids.
 *
 * <p>Reference: {@code precompute_rope2d_freqs_grid}. The first half of a head's channel pairs
 * encodes the row, the second half the column; frequencies are {@code 10000^(-2i / (head_dim /
 * 2))}.
 */
public final class RotaryTable {
  // The official table has 2048 / 16 rows and columns.
  private static final int GRID = 128;

  private RotaryTable() {}

  /**
   * The table as pairs, float32 [tokens, head_dim / 2, 2]: cosine, then sine.
   *
   * @param template over whose last grid positions are spread, also at smaller resolutions
   * @param headDim channels of a head, a multiple of 4
   */
  public static float[] build(
      ScaleGrids grids, ScaleTemplate template, int headDim, RotaryNormalization mode) {
    int pairs = headDim / 2;
    float[] frequencies = new float[pairs / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) (1.0 / (float) Math.pow(10000.0, 2f * i / (float) pairs));
    }
    float[] table = new float[Math.multiplyExact(grids.totalTokens(), pairs * 2)];
    ScaleSize largest = template.sizes().getLast();
    int at = 0;
    for (int t = 0; t < grids.count(); t++) {
      ScaleSize size = grids.size(t);
      float[] rows = axis(size.height(), largest.height(), largest, true, mode);
      float[] columns = axis(size.width(), largest.width(), largest, false, mode);
      for (float row : rows) {
        for (float column : columns) {
          for (int half = 0; half < 2; half++) {
            float position = half == 0 ? row : column;
            for (float frequency : frequencies) {
              writePair(table, at, position, frequency, mode);
              at += 2;
            }
          }
        }
      }
    }
    return table;
  }

  private static void writePair(
      float[] table, int at, float position, float frequency, RotaryNormalization mode) {
    if (mode == RotaryNormalization.RESAMPLED) {
      // The reference interpolates cosines and sines of whole positions, not angles.
      int low = (int) Math.min(Math.floor(position), GRID - 1);
      int high = Math.min(low + 1, GRID - 1);
      float weight = position - low;
      table[at] = mix(cos(low * frequency), cos(high * frequency), weight);
      table[at + 1] = mix(sin(low * frequency), sin(high * frequency), weight);
    } else {
      table[at] = cos(position * frequency);
      table[at + 1] = sin(position * frequency);
    }
  }

  private static float[] axis(
      int count, int edge, ScaleSize largest, boolean isRow, RotaryNormalization mode) {
    float[] positions = new float[count];
    for (int i = 0; i < count; i++) {
      positions[i] =
          switch (mode) {
            case NONE -> i;
            case RESAMPLED -> resampled(i, count, largest, isRow);
            // round() of the reference rounds halves to even, on float32 products.
            case ROUNDED -> (float) Math.rint(i * (float) ((double) edge / count));
          };
    }
    return positions;
  }

  /** Source coordinate of bilinear interpolation with aligned corners over the used grid. */
  private static float resampled(int i, int count, ScaleSize largest, boolean isRow) {
    int rows = largest.height();
    int columns = largest.width();
    int used;
    if (rows >= columns) {
      used = isRow ? GRID : (int) ((double) GRID / rows * columns);
    } else {
      used = isRow ? (int) ((double) GRID / columns * rows) : GRID;
    }
    return count == 1 ? 0 : i * ((used - 1) / (float) (count - 1));
  }

  private static float mix(float low, float high, float weight) {
    return low * (1 - weight) + high * weight;
  }

  private static float cos(float angle) {
    return (float) Math.cos(angle);
  }

  private static float sin(float angle) {
    return (float) Math.sin(angle);
  }
}
