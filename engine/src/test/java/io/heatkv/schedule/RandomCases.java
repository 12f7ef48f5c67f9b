package io.heatkv.schedule;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;

/** Random shapes, orders and budgets; the seed of a case says everything about it. */
record RandomCases(ScheduleShape shape, HeadOrders orders, double budget) {
  static RandomCases of(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int scales = random.nextInt(2, 9);
    int[] tokens = new int[scales];
    for (int t = 0; t < scales; t++) {
      tokens[t] = random.nextInt(1, 2 + t * t * 4);
    }
    int sink = random.nextInt(0, scales - 1);
    boolean usual = random.nextInt(4) > 0;
    int first = usual ? sink : random.nextInt(sink, scales - 1);
    int last = usual ? scales - 2 : random.nextInt(first, scales - 1);
    ScheduleShape shape =
        new ScheduleShape(random.nextInt(1, 7), random.nextInt(1, 6), tokens, sink, first, last);
    return new RandomCases(shape, orders(shape, random), budget(shape, random));
  }

  static HeadOrders orders(ScheduleShape shape, SplittableRandom random) {
    List<List<List<Integer>>> orders = new ArrayList<>();
    for (int s = shape.firstSource(); s <= shape.lastSource(); s++) {
      List<List<Integer>> order = new ArrayList<>();
      for (int h = 0; h < shape.heads(); h++) {
        for (int l = 0; l < shape.layers(); l++) {
          order.add(List.of(h, l));
        }
      }
      Collections.shuffle(order, new java.util.Random(random.nextLong()));
      orders.add(order);
    }
    return HeadOrders.parse(
        "random", orders, shape.layers(), shape.heads(), shape.firstSource(), shape.lastSource());
  }

  /** Anything feasible, often where a whole number of heads fits exactly. */
  private static double budget(ScheduleShape shape, SplittableRandom random) {
    double least = RemovedHeads.smallestBudget(shape);
    double heads = shape.allHeads() * (double) shape.fullTokens();
    return switch (random.nextInt(6)) {
      case 0 -> least;
      case 1 -> 1;
      case 2, 3 -> {
        int t = random.nextInt(shape.scales());
        long sink = shape.tokensBefore(Math.min(t, shape.sinkScales()));
        long kept = random.nextLong(shape.allHeads() + 1L);
        long tokens = shape.allHeads() * sink + kept * (shape.tokensBefore(t) - sink);
        yield Math.clamp(tokens / heads, least, 1);
      }
      default -> random.nextDouble(least, Math.nextUp(1.0));
    };
  }
}
