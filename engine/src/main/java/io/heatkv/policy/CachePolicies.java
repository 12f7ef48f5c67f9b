package io.heatkv.policy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.EvictionRule;
import io.heatkv.error.UserException;
import io.heatkv.schedule.Allocation;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** The policies by name. */
public final class CachePolicies {
  private record Entry(String name, Function<PolicyInputs, CachePolicy> maker) {}

  // A new policy is one line here.
  private static final List<Entry> ENTRIES =
      List.of(
          new Entry("full", CachePolicies::full),
          heat(Allocation.GREEDY),
          heat(Allocation.PAPER),
          evicting("streaming-llm", _ -> new StreamingLlm()),
          evicting("sliding-window", _ -> new SlidingWindow()),
          evicting("random", _ -> new RandomEviction()),
          evicting("snapkv", _ -> new SnapKv()),
          evicting("h2o", _ -> new H2o()),
          evicting("pyramidkv", in -> PyramidKv.of(in.shape())),
          evicting("scalekv", ScaleKv::of),
          evicting("hack", Hack::of),
          evicting("ams-kv", AmsKv::of));

  private CachePolicies() {}

  /** HeatKV with one of its rules of allocation. */
  private static Entry heat(Allocation allocation) {
    return new Entry(
        allocation.policy(),
        in -> HeatKvPolicy.of(allocation, in.profile().get(), in.budget(), in.shape()));
  }

  /** A rule under a budget. */
  private static Entry evicting(String name, Function<PolicyInputs, EvictionRule> rule) {
    return new Entry(name, in -> new EvictionPolicy(name, rule.apply(in), in.ratio()));
  }

  private static CachePolicy full(PolicyInputs inputs) {
    if (inputs.ratio() < 1) {
      throw new UserException(
          "policy full keeps everything; leave out the KV budget or choose another policy");
    }
    return CachePolicy.FULL;
  }

  /** All names, in the order of registration. */
  public static List<String> names() {
    return ENTRIES.stream().map(Entry::name).toList();
  }

  /**
   * Makes a policy, and checks that it can serve the shape.
   *
   * @throws UserException if there is none of that name, it can't be made from the inputs, or the
   *     budget is below its floor
   */
  public static CachePolicy create(String name, PolicyInputs inputs) {
    for (Entry entry : ENTRIES) {
      if (entry.name().equals(name)) {
        CachePolicy policy = entry.maker().apply(inputs);
        // Refuses a budget that is too small before anything is loaded.
        policy.plan(inputs.shape());
        return policy;
      }
    }
    String shown = name.length() > 40 ? name.substring(0, 40) + "…" : name;
    throw new UserException(
        "KV policy '%s' is unknown; %s: %s"
            .formatted(
                shown.replaceAll("\\p{Cntrl}", "?"),
                // Nothing is near to no letters.
                shown.isBlank() ? "known" : "did you mean " + nearest(shown) + "? Known",
                String.join(", ", names())));
  }

  private static String nearest(String name) {
    String wanted = name.toLowerCase(Locale.ROOT);
    String best = ENTRIES.getFirst().name();
    for (String known : names()) {
      if (distance(wanted, known) < distance(wanted, best)) {
        best = known;
      }
    }
    return best;
  }

  /** Levenshtein distance: letters to insert, remove or replace. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
