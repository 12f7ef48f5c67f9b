package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.StoredAtom;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Atoms at levels as lists of entries, and attention over them in float64. */
final class NaiveLevels {
  private final ScaleGrids grids;
  private final int rows;
  private final int heads;
  private final int dim;
  private final DType half;
  // Of each atom and row.
  private final Map<Atom, List<List<Entry>>> stored = new HashMap<>();

  /** Key and value [2][dim] of a block. */
  private record Entry(int row, int column, int tokens, float[][] parts) {}

  NaiveLevels(ScaleGrids grids, int rows, int heads, int dim, DType dtype) {
    this.grids = grids;
    this.rows = rows;
    this.heads = heads;
    this.dim = dim;
    half = dtype == DType.BF16 ? DType.BF16 : DType.F16;
  }

  double[] attend(LevelStep step, int scale, float[] q, float[] k, float[] v) {
    double[] out = new double[q.length];
    int tokens = grids.tokens(scale);
    for (int row = 0; row < rows; row++) {
      for (int head = 0; head < heads; head++) {
        List<Entry> seen = new ArrayList<>();
        for (StoredAtom atom : step.reads()) {
          if (atom.atom().head() == head) {
            seen.addAll(stored.get(atom.atom()).get(row));
          }
        }
        seen.addAll(tokens(scale, row, head, k, v));
        for (int n = 0; n < tokens; n++) {
          attend(seen, q, out, ((row * heads + head) * tokens + n) * dim);
        }
      }
    }
    for (LevelStep.Move move : step.moves()) {
      for (int row = 0; row < rows; row++) {
        List<Entry> entries = stored.get(move.from().atom()).get(row);
        stored.get(move.from().atom()).set(row, at(move.to().level(), entries));
      }
    }
    for (StoredAtom atom : step.writes()) {
      List<List<Entry>> all = new ArrayList<>();
      for (int row = 0; row < rows; row++) {
        all.add(at(atom.level(), tokens(scale, row, atom.atom().head(), k, v)));
      }
      stored.put(atom.atom(), all);
    }
    return out;
  }

  private void attend(List<Entry> seen, float[] q, double[] out, int at) {
    double[] weights = new double[seen.size()];
    double total = 0;
    for (int i = 0; i < weights.length; i++) {
      double score = 0;
      for (int c = 0; c < dim; c++) {
        score += (double) q[at + c] * seen.get(i).parts[0][c];
      }
      weights[i] = seen.get(i).tokens * Math.exp(score);
      total += weights[i];
    }
    for (int i = 0; i < weights.length; i++) {
      for (int c = 0; c < dim; c++) {
        out[at + c] += weights[i] / total * seen.get(i).parts[1][c];
      }
    }
  }

  private List<Entry> tokens(int scale, int row, int head, float[] k, float[] v) {
    ScaleSize size = grids.size(scale);
    List<Entry> entries = new ArrayList<>();
    for (int n = 0; n < size.tokens(); n++) {
      int at = ((row * heads + head) * size.tokens() + n) * dim;
      float[][] parts = {Arrays.copyOfRange(k, at, at + dim), Arrays.copyOfRange(v, at, at + dim)};
      entries.add(new Entry(n / size.width(), n % size.width(), 1, parts));
    }
    return entries;
  }

  /** Entries by the row and the column of their first token. */
  private List<Entry> at(Level level, List<Entry> entries) {
    Map<List<Integer>, List<Entry>> blocks = new java.util.LinkedHashMap<>();
    for (Entry entry : entries) {
      blocks
          .computeIfAbsent(
              List.of(entry.row / level.pool(), entry.column / level.pool()),
              _ -> new ArrayList<>())
          .add(entry);
    }
    List<Entry> means = new ArrayList<>();
    for (List<Entry> block : blocks.values()) {
      int tokens = block.stream().mapToInt(Entry::tokens).sum();
      float[][] parts = new float[2][dim];
      for (int part = 0; part < 2; part++) {
        for (int c = 0; c < dim; c++) {
          float sum = 0;
          for (Entry entry : block) {
            sum += entry.tokens * entry.parts[part][c];
          }
          parts[part][c] = sum / tokens;
        }
      }
      means.add(new Entry(block.getFirst().row, block.getFirst().column, tokens, parts));
    }
    switch (level.precision()) {
      case FLOAT16 -> {
        halves(means, 0);
        halves(means, 1);
      }
      case INT8 -> {
        byToken(means, 0);
        byToken(means, 1);
      }
      case K8V4 -> {
        byToken(means, 0);
        byChannel(means, 1);
      }
      case INT4 -> {
        byChannel(means, 0);
        byChannel(means, 1);
      }
    }
    return means;
  }

  private void halves(List<Entry> entries, int part) {
    for (Entry entry : entries) {
      for (int c = 0; c < dim; c++) {
        float x = entry.parts[part][c];
        if (half == DType.F16) {
          x = Float.float16ToFloat(Float.floatToFloat16(x));
        } else {
          float low = Float.intBitsToFloat(Float.floatToIntBits(x) & 0xffff0000);
          float high = Float.intBitsToFloat((Float.floatToIntBits(x) & 0xffff0000) + 0x10000);
          boolean odd = (Float.floatToIntBits(low) >> 16 & 1) == 1;
          float toLow = Math.abs(x - low);
          float toHigh = Math.abs(high - x);
          x = toLow < toHigh || (toLow == toHigh && !odd) ? low : high;
        }
        entry.parts[part][c] = x;
      }
    }
  }

  private void byToken(List<Entry> entries, int part) {
    for (Entry entry : entries) {
      float largest = 0;
      for (float x : entry.parts[part]) {
        largest = Math.max(largest, Math.abs(x));
      }
      float step = atLeast(largest / 127);
      for (int c = 0; c < dim; c++) {
        float x = entry.parts[part][c];
        entry.parts[part][c] = step == 0 ? 0 : step * (float) Math.rint(x / step);
      }
    }
  }

  private void byChannel(List<Entry> entries, int part) {
    for (int c = 0; c < dim; c++) {
      float least = Float.POSITIVE_INFINITY;
      float most = Float.NEGATIVE_INFINITY;
      for (Entry entry : entries) {
        least = Math.min(least, entry.parts[part][c]);
        most = Math.max(most, entry.parts[part][c]);
      }
      float low = -atLeast(-least);
      float step = atLeast((most - low) / 15);
      for (Entry entry : entries) {
        float x = entry.parts[part][c];
        float q = step == 0 ? 0 : (float) Math.min(15, Math.rint((x - low) / step));
        entry.parts[part][c] = low + step * q;
      }
    }
  }

  /** The least number of half precision that isn't below x. */
  private static float atLeast(float x) {
    float near = Float.float16ToFloat(Float.floatToFloat16(x));
    float next = near;
    while (next < x) {
      // Spacing of half precision around it: 10 bits of mantissa, 2^-24 at least.
      next = near + Math.max(0x1p-24f, Math.ulp(near) * (1 << 13));
    }
    return next;
  }
}
