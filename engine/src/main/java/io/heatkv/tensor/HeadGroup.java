package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Heads of a layer that are attended to in one call, though each has entries of its own: the
 * shorter ones are padded.
 *
 * @param heads in their order
 * @param longest entries of the one that has most
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record HeadGroup(int[] heads, int longest) {
  // Products of numbers for which the calls of another group take as long.
  private static final long CALLS = 1 << 20;
  // Numbers of a row's keys that lie in a core's cache beside its values and another row's.
  private static final long CACHED = 1 << 16;

  /**
   * Shares out all heads: one joins the group before it unless padding takes longer than calls, or
   * the group would no longer lie in a core's cache. Groups don't depend on the batch, nor do bits.
   *
   * @param tokens that attend
   * @param dim channels of a head
   */
  static List<HeadGroup> of(StoredStep step, long tokens, int dim) {
    long[] byLength = new long[step.heads()];
    for (int head = 0; head < byLength.length; head++) {
      byLength[head] = StoredStep.descending(step.length(head), head);
    }
    Arrays.sort(byLength);
    List<HeadGroup> groups = new ArrayList<>();
    int start = 0;
    for (int i = 1; i <= byLength.length; i++) {
      int longest = step.length((int) byLength[start]);
      if (i == byLength.length
          || (longest - step.length((int) byLength[i])) * tokens * dim > CALLS
          || (i + 1 - start) * (longest + tokens) * dim > CACHED) {
        int[] heads = new int[i - start];
        for (int j = start; j < i; j++) {
          heads[j - start] = (int) byLength[j];
        }
        Arrays.sort(heads);
        groups.add(new HeadGroup(heads, longest));
        start = i;
      }
    }
    return groups;
  }

  int count() {
    return heads.length;
  }

  /** Whether it has neighbours only. */
  boolean isRun() {
    return heads[heads.length - 1] - heads[0] == heads.length - 1;
  }

  /**
   * Its heads of all.
   *
   * @param x [rows, heads, tokens, dim]
   * @return [rows, the group's heads, tokens, dim]; a view where they are neighbours
   */
  Tensor of(Tensor x) {
    if (isRun()) {
      return x.narrow(1, heads[0], heads.length);
    }
    Tensor own =
        Tensor.empty(
            x.backend(), x.dtype(), x.device(), x.size(0), heads.length, x.size(2), x.size(3));
    copy(own, x, false);
    return own;
  }

  /** Copies its heads between a tensor of them alone and one of all heads. */
  void copy(Tensor own, Tensor all, boolean toAll) {
    int end;
    for (int start = 0; start < heads.length; start = end) {
      end = start + 1;
      while (end < heads.length && heads[end] == heads[end - 1] + 1) {
        end++;
      }
      Tensor some = own.narrow(1, start, end - start);
      Tensor same = all.narrow(1, heads[start], end - start);
      if (toAll) {
        same.copyFrom(some);
      } else {
        some.copyFrom(same);
      }
    }
  }
}
