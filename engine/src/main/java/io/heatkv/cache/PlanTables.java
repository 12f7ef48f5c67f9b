package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.CacheStep;
import io.heatkv.tensor.HeadRanges;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The slots and heads of all steps of a plan, one after another, so that one copy brings them to a
 * device.
 */
final class PlanTables {
  private final int layers;
  private final long[] numbers;
  private final List<Step> steps = new ArrayList<>();
  private final List<HeadRanges.Layer> ranges = new ArrayList<>();

  /** A run of {@link #numbers}. */
  record Run(int start, int count) {}

  /**
   * Where the numbers of a step lie.
   *
   * @param reads slots to read, head after head
   * @param heads that are written
   * @param writes slots to write, written head after written head
   */
  record Step(Run reads, Run heads, Run writes) {}

  PlanTables(CachePlan plan) {
    layers = plan.shape().layers();
    long[] all = new long[1024];
    int used = 0;
    for (int t = 0; t < plan.shape().scales(); t++) {
      for (int l = 0; l < layers; l++) {
        CacheStep step = plan.step(t, l);
        Run[] runs = new Run[3];
        int i = 0;
        for (int[] part : List.of(step.readSlots(), step.writtenHeads(), step.writeSlots())) {
          if (used + part.length > all.length) {
            all = Arrays.copyOf(all, Math.max(2 * all.length, used + part.length));
          }
          runs[i++] = new Run(used, part.length);
          for (int number : part) {
            all[used++] = number;
          }
        }
        steps.add(new Step(runs[0], runs[1], runs[2]));
        ranges.add(new HeadRanges.Layer(step.readLengths(), plan.shape().tokens(t)));
      }
    }
    numbers = Arrays.copyOf(all, used);
  }

  /** Bytes of all that is brought to a device: 8 a number, and two ranges of 4 for each head. */
  static long bytes(CachePlan plan, KvShape shape) {
    long steps = (long) plan.shape().scales() * plan.shape().layers();
    long ranges = 2 * steps * (shape.batch() * (long) shape.heads() + 1) * Integer.BYTES;
    return Long.BYTES * plan.stepNumbers() + ranges;
  }

  long[] numbers() {
    return numbers;
  }

  /** Heads' ranges of all steps, layer after layer of every scale. */
  List<HeadRanges.Layer> ranges() {
    return ranges;
  }

  int index(int scale, int layer) {
    return scale * layers + layer;
  }

  Step step(int index) {
    return steps.get(index);
  }
}
