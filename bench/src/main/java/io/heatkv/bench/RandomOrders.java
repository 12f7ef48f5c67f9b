package io.heatkv.bench;

import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.ScheduleShape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Head orders of a random model, which none were calibrated for. */
public final class RandomOrders {
  private RandomOrders() {}

  /** Orders of all removable scales, the same for the same seed. */
  public static HeadOrders of(ScheduleShape shape, long seed) {
    Random random = new Random(seed);
    List<List<List<Integer>>> orders = new ArrayList<>();
    for (int source = shape.firstSource(); source <= shape.lastSource(); source++) {
      List<List<Integer>> order = new ArrayList<>();
      for (int head = 0; head < shape.heads(); head++) {
        for (int layer = 0; layer < shape.layers(); layer++) {
          order.add(List.of(head, layer));
        }
      }
      Collections.shuffle(order, random);
      orders.add(order);
    }
    return HeadOrders.parse(
        "random orders",
        orders,
        shape.layers(),
        shape.heads(),
        shape.firstSource(),
        shape.lastSource());
  }
}
