package io.heatkv.policy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.EvictionRule;
import io.heatkv.cache.FormatPolicy;
import io.heatkv.error.Nearest;
import io.heatkv.error.UserException;
import io.heatkv.resource.Services;
import io.heatkv.schedule.Allocation;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The policies by name: our own, and those that other jars provide. */
public final class CachePolicies {
  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9-]*");

  private record Entry(String name, Function<PolicyInputs, CachePolicy> maker)
      implements PolicyProvider {
    @Override
    public CachePolicy create(PolicyInputs inputs) {
      return maker.apply(inputs);
    }
  }

  // A new policy is one line here.
  private static final List<PolicyProvider> OWN =
      List.of(
          whole(CachePolicy.FULL),
          whole(FormatPolicy.INT8),
          whole(FormatPolicy.KIVI),
          heat(Allocation.RATE_DISTORTION),
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
  private static PolicyProvider heat(Allocation allocation) {
    return new Entry(allocation.policy(), in -> HeatKvPolicy.of(allocation, in));
  }

  /** A rule under a budget. */
  private static PolicyProvider evicting(String name, Function<PolicyInputs, EvictionRule> rule) {
    return new Entry(
        name, in -> new EvictionPolicy(name, rule.apply(in), in.ratio(), in.storage()));
  }

  /** A policy that keeps all tokens, at the size that it takes. */
  private static PolicyProvider whole(CachePolicy policy) {
    return new Entry(
        policy.name(),
        in -> {
          double share =
              policy.plan(in.shape()).bytes() / (double) in.storage().fullBytes(in.shape());
          if (in.ratio() < Math.min(1, share)) {
            throw new UserException(
                String.format(
                    Locale.ROOT,
                    "policy %s keeps everything, %.1f%% of the full cache; leave out the KV budget"
                        + " or choose another policy",
                    policy.name(),
                    Math.min(100, Math.ceil(1000 * share) / 10)));
          }
          return policy;
        });
  }

  /** A policy that keeps all tokens and so needs no budget, if the name is that of one. */
  public static Optional<CachePolicy> whole(String name) {
    return Stream.of(CachePolicy.FULL, FormatPolicy.INT8, FormatPolicy.KIVI)
        .filter(policy -> policy.name().equals(name))
        .findFirst();
  }

  /** Our own, then those of the thread's class loader. */
  private static List<PolicyProvider> known() {
    List<PolicyProvider> known = new ArrayList<>(OWN);
    for (PolicyProvider found : Services.all(PolicyProvider.class, "KV policy")) {
      String name = found.name();
      if (!NAME.matcher(name).matches()
          || known.stream().anyMatch(other -> other.name().equals(name))) {
        throw new UserException(
            "%s provides a KV policy '%s'; it needs a name of its own of small letters, digits and hyphens"
                .formatted(found.getClass().getName(), printable(name)));
      }
      known.add(found);
    }
    return known;
  }

  /**
   * All names: our own in the order of registration, then others.
   *
   * @throws UserException if another jar's policy can't be loaded or has no name of its own
   */
  public static List<String> names() {
    return known().stream().map(PolicyProvider::name).toList();
  }

  /**
   * Makes a policy, and checks that it can serve the shape.
   *
   * @throws UserException if there is none of that name, it can't be made from the inputs, the
   *     budget is below its floor, or as {@link #names} does
   */
  public static CachePolicy create(String name, PolicyInputs inputs) {
    for (PolicyProvider provider : known()) {
      if (provider.name().equals(name)) {
        CachePolicy policy = provider.create(inputs);
        // Refuses a budget that is too small before anything is loaded.
        policy.plan(inputs.shape());
        return policy;
      }
    }
    String shown = printable(name);
    throw new UserException(
        "KV policy '%s' is unknown; %s: %s"
            .formatted(
                shown,
                // Nothing is near to no letters.
                shown.isBlank()
                    ? "known"
                    : "did you mean " + Nearest.of(shown, names(), 1).getFirst() + "? Known",
                String.join(", ", names())));
  }

  private static String printable(String name) {
    String shown = name.length() > 40 ? name.substring(0, 40) + "…" : name;
    return shown.replaceAll("\\p{Cntrl}", "?");
  }
}
