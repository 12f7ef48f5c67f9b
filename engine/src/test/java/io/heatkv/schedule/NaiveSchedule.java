package io.heatkv.schedule;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** The schedule as the method is written down: sets of atoms, totals counted anew every time. */
final class NaiveSchedule {
  final List<Set<Atom>> finals = new ArrayList<>();
  final List<Map<Integer, List<Atom>>> early = new ArrayList<>();
  final List<List<Long>> totals = new ArrayList<>();
  final int[] counts;
  private final ScheduleShape shape;

  /** What the reference raises when a scale stays above the budget. */
  static final class Infeasible extends RuntimeException {
    final int scale;

    Infeasible(int scale) {
      this.scale = scale;
    }
  }

  /** With the counts of the reference, each raised by one where the reference gives up. */
  static NaiveSchedule of(ScheduleShape shape, HeadOrders orders, double budget) {
    int[] counts = counts(shape, budget);
    while (true) {
      try {
        return new NaiveSchedule(shape, orders, budget, counts);
      } catch (Infeasible e) {
        if (++counts[e.scale + 1] > shape.layers() * shape.heads()) {
          throw e;
        }
      }
    }
  }

  static int[] counts(ScheduleShape shape, double budget) {
    int scales = shape.scales();
    long full = 0;
    long sink = 0;
    for (int t = 0; t < scales - 1; t++) {
      full += shape.tokens(t);
      sink += t < shape.sinkScales() ? shape.tokens(t) : 0;
    }
    int heads = shape.layers() * shape.heads();
    int[] counts = new int[scales];
    long incoming = 0;
    for (int t = 0; t < scales; t++) {
      if (incoming > budget * full) {
        double exact = heads * (incoming - budget * full) / (incoming - Math.min(sink, incoming));
        counts[t] = (int) Math.max(0, Math.min(heads, Math.ceil(exact)));
      }
      incoming += shape.tokens(t);
    }
    return counts;
  }

  NaiveSchedule(ScheduleShape shape, HeadOrders orders, double budget, int[] counts) {
    this.shape = shape;
    this.counts = counts;
    long full = 0;
    for (int t = 0; t < shape.scales() - 1; t++) {
      full += shape.tokens(t);
    }
    double threshold = budget * shape.layers() * shape.heads() * full;
    Map<Atom, Integer> ranks = new HashMap<>();
    for (int s = shape.firstSource(); s <= shape.lastSource(); s++) {
      for (int rank = 0; rank < shape.layers() * shape.heads(); rank++) {
        ranks.put(orders.atom(s, rank), rank);
      }
    }
    Comparator<Atom> priority =
        Comparator.comparingInt((Atom atom) -> -atom.layer())
            .thenComparingInt(atom -> -atom.source())
            .thenComparingInt(ranks::get);
    Set<Atom> active = new HashSet<>();
    for (int t = 0; t < shape.scales() - 1; t++) {
      Set<Atom> target = new HashSet<>();
      for (int s = shape.firstSource(); s <= Math.min(shape.lastSource(), t); s++) {
        for (int rank = 0; rank < counts[t + 1]; rank++) {
          target.add(orders.atom(s, rank));
        }
      }
      Set<Atom> current = new HashSet<>(active);
      early.add(new TreeMap<>());
      totals.add(new ArrayList<>());
      for (int l = 0; l < shape.layers(); l++) {
        int layer = l;
        int scale = t;
        target.stream().filter(atom -> atom.layer() <= layer).forEach(current::add);
        List<Atom> candidates =
            target.stream()
                .filter(atom -> !current.contains(atom))
                .filter(atom -> atom.layer() > layer && atom.source() != scale)
                .sorted(priority)
                .toList();
        for (Atom atom : candidates) {
          if (total(t, l, current) <= threshold) {
            break;
          }
          current.add(atom);
          early.get(t).computeIfAbsent(l, _ -> new ArrayList<>()).add(atom);
        }
        totals.get(t).add(total(t, l, current));
        if (total(t, l, current) > threshold) {
          throw new Infeasible(t);
        }
      }
      active = target;
      finals.add(target);
    }
    finals.add(active);
    early.add(Map.of());
  }

  /** What scale {@code t} doesn't see. */
  Set<Atom> removedAt(int t) {
    Set<Atom> removed = t == 0 ? new TreeSet<>() : new TreeSet<>(finals.get(t - 1));
    early.get(t).values().forEach(removed::addAll);
    return removed;
  }

  private long total(int scale, int layer, Set<Atom> removed) {
    long total = 0;
    for (int s = 0; s < Math.min(shape.sinkScales(), scale); s++) {
      total += (long) shape.layers() * shape.heads() * shape.tokens(s);
    }
    int[][] gone = new int[shape.scales()][shape.layers()];
    removed.forEach(atom -> gone[atom.source()][atom.layer()]++);
    for (int s = shape.firstSource(); s <= Math.min(shape.lastSource(), scale); s++) {
      for (int l = 0; l < (s == scale ? layer + 1 : shape.layers()); l++) {
        total += (long) (shape.heads() - gone[s][l]) * shape.tokens(s);
      }
    }
    return total;
  }
}
