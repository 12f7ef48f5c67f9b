package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.LevelSteps;
import io.heatkv.schedule.StoredAtom;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Levels that go down at random: in the layer that has attended, or early, in a later one. What is
 * given back is taken next, so that places overlap with those that are read.
 */
final class RandomLevels implements LevelSteps {
  private final Random random;
  private final ScaleGrids grids;
  private final int dim;
  private final int granules;
  private final Deque<Integer> free = new ArrayDeque<>();
  private final Map<List<Integer>, LevelStep> steps = new HashMap<>();
  private final Map<List<Integer>, int[]> freeAfter = new HashMap<>();
  private final List<int[]> groups = new ArrayList<>();

  RandomLevels(ScaleGrids grids, int layers, int heads, int dim, long seed) {
    random = new Random(seed);
    this.grids = grids;
    this.dim = dim;
    int all = 0;
    for (int source = 0; source < grids.count() - 1; source++) {
      all += layers * heads * Level.ALL.getFirst().granules(grids.size(source), dim);
    }
    granules = all;
    for (int i = 0; i < all; i++) {
      free.add(i);
    }
    List<TreeMap<Atom, StoredAtom>> held = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      held.add(new TreeMap<>());
    }
    for (int t = 0; t < grids.count(); t++) {
      groups.add(
          IntStream.rangeClosed(1, layers)
              .filter(end -> end == layers || random.nextBoolean())
              .toArray());
      boolean[] early = new boolean[layers];
      for (int layer = 0; layer < layers; layer++) {
        List<StoredAtom> reads = new ArrayList<>(held.get(layer).values());
        reads.sort((a, b) -> a.atom().head() - b.atom().head());
        List<LevelStep.Move> moves = new ArrayList<>();
        List<StoredAtom> writes = new ArrayList<>();
        if (t < grids.count() - 1) {
          List<StoredAtom> leaving = new ArrayList<>();
          if (!early[layer]) {
            leaving.addAll(held.get(layer).values());
          }
          // A later layer's atoms may go before it attends.
          int later = layer + 1 + random.nextInt(layers);
          if (later < layers && !early[later] && random.nextBoolean()) {
            early[later] = true;
            leaving.addAll(held.get(later).values());
          }
          move(leaving, held, moves);
          for (int head = 0; head < heads; head++) {
            Level level = random.nextInt(6) == 0 && t > 0 ? null : any(Level.ALL);
            if (level != null) {
              StoredAtom atom = place(new Atom(t, head, layer), level);
              writes.add(atom);
              held.get(layer).put(atom.atom(), atom);
            }
          }
        }
        steps.put(List.of(t, layer), new LevelStep(reads, moves, writes));
        freeAfter.put(List.of(t, layer), free.stream().mapToInt(Integer::intValue).toArray());
      }
    }
  }

  private void move(
      List<StoredAtom> leaving, List<TreeMap<Atom, StoredAtom>> held, List<LevelStep.Move> moves) {
    Map<StoredAtom, Level> chosen = new HashMap<>();
    for (StoredAtom atom : leaving) {
      int choice = random.nextInt(4);
      if (choice == 0) {
        give(atom);
        held.get(atom.atom().layer()).remove(atom.atom());
      } else if (choice < 3) {
        int size = atom.level().granules(grids.size(atom.atom().source()), dim);
        List<Level> lower =
            Level.ALL.stream()
                .filter(level -> level.pool() >= atom.level().pool())
                .filter(level -> level.granules(grids.size(atom.atom().source()), dim) <= size)
                .toList();
        chosen.put(atom, any(lower));
      }
    }
    // All places are given back before one is taken.
    leaving.stream().filter(chosen::containsKey).forEach(this::give);
    for (StoredAtom atom : leaving) {
      Level level = chosen.get(atom);
      if (level != null) {
        StoredAtom lower = place(atom.atom(), level);
        moves.add(new LevelStep.Move(atom, lower));
        held.get(atom.atom().layer()).put(atom.atom(), lower);
      }
    }
  }

  private Level any(List<Level> levels) {
    return levels.get(random.nextInt(levels.size()));
  }

  private void give(StoredAtom atom) {
    for (int i = 0; i < atom.runs().length; i += 2) {
      for (int j = 0; j < atom.runs()[i + 1]; j++) {
        free.push(atom.runs()[i] + j);
      }
    }
  }

  private StoredAtom place(Atom atom, Level level) {
    int count = level.granules(grids.size(atom.source()), dim);
    int[] runs = new int[2 * count];
    int used = 0;
    for (int i = 0; i < count; i++) {
      int granule = free.pop();
      if (used > 0 && runs[used - 2] + runs[used - 1] == granule) {
        runs[used - 1]++;
      } else {
        runs[used++] = granule;
        runs[used++] = 1;
      }
    }
    return new StoredAtom(atom, level, Arrays.copyOf(runs, used));
  }

  @Override
  public int granules() {
    return granules;
  }

  @Override
  public LevelStep step(int scale, int layer) {
    return steps.get(List.of(scale, layer));
  }

  @Override
  public int[] groups(int scale) {
    return groups.get(scale);
  }

  /** Granules in which nothing is stored after a layer's step. */
  int[] free(int scale, int layer) {
    return freeAfter.get(List.of(scale, layer));
  }
}
