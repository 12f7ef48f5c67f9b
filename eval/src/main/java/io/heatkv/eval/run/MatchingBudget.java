package io.heatkv.eval.run;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * The budget at which a policy's mean PSNR reaches that of HeatKV at a tenth of the full cache.
 *
 * <p>Between the budgets that were tried, the mean is taken as linear in the logarithm of the
 * budget. It is the least budget from which on all larger ones reach the target. The interval is
 * that of a bootstrap over prompts, the same prompts for both policies.
 *
 * @param policy its name
 * @param ratio of the full cache; minus infinity if already the smallest budget tried reaches the
 *     target, plus infinity if not even the largest does
 * @param low 2.5 % of the resampled ratios are below; NaN with a single prompt
 * @param high 2.5 % are above; likewise
 * @param least smallest ratio tried
 * @param most largest ratio tried
 */
public record MatchingBudget(
    String policy, double ratio, double low, double high, double least, double most) {
  /** Whose quality is to be reached. */
  public static final String REFERENCE = "heatkv";

  /** At which ratio. */
  public static final double REFERENCE_RATIO = 0.1;

  private static final int RESAMPLES = 2000;

  /** A policy's mean of each prompt at one budget. */
  private record Curve(double ratio, double[] prompts) {
    double mean(int[] chosen) {
      double sum = 0;
      for (int prompt : chosen) {
        sum += prompts[prompt];
      }
      return sum / chosen.length;
    }
  }

  /**
   * All other policies; none if the reference wasn't drawn.
   *
   * @param values PSNR of each prompt's pictures, by the cells' labels
   */
  static List<MatchingBudget> all(List<Cell> cells, Map<String, List<double[]>> values) {
    Map<String, List<Curve>> curves = new LinkedHashMap<>();
    for (Cell cell : cells) {
      double[] means =
          values.getOrDefault(cell.label(), List.of()).stream()
              .mapToDouble(seeds -> Arrays.stream(seeds).average().orElseThrow())
              .toArray();
      curves
          .computeIfAbsent(cell.policy(), _ -> new ArrayList<>())
          .add(new Curve(cell.ratio(), means));
    }
    curves.values().forEach(curve -> curve.sort(Comparator.comparingDouble(Curve::ratio)));
    Optional<Curve> reference =
        curves.getOrDefault(REFERENCE, List.of()).stream()
            .filter(curve -> Math.abs(curve.ratio() - REFERENCE_RATIO) < 1e-9)
            .findFirst();
    return reference.isEmpty() || reference.get().prompts().length == 0
        ? List.of()
        : curves.entrySet().stream()
            .filter(entry -> !entry.getKey().equals(REFERENCE))
            .map(entry -> of(entry.getKey(), entry.getValue(), reference.get()))
            .toList();
  }

  private static MatchingBudget of(String policy, List<Curve> curve, Curve reference) {
    int prompts = reference.prompts().length;
    int[] chosen = new int[prompts];
    Arrays.setAll(chosen, i -> i);
    double ratio = match(curve, reference, chosen);
    double least = curve.getFirst().ratio();
    double most = curve.getLast().ratio();
    if (prompts < 2) {
      return new MatchingBudget(policy, ratio, Double.NaN, Double.NaN, least, most);
    }
    // The same resamples in every run.
    SplittableRandom random = new SplittableRandom(prompts);
    double[] resampled = new double[RESAMPLES];
    for (int i = 0; i < RESAMPLES; i++) {
      Arrays.setAll(chosen, _ -> random.nextInt(prompts));
      resampled[i] = match(curve, reference, chosen);
    }
    Arrays.sort(resampled);
    return new MatchingBudget(
        policy,
        ratio,
        resampled[(int) Math.floor(0.025 * (RESAMPLES - 1))],
        resampled[(int) Math.ceil(0.975 * (RESAMPLES - 1))],
        least,
        most);
  }

  private static double match(List<Curve> curve, Curve reference, int[] chosen) {
    return match(
        curve.stream().mapToDouble(Curve::ratio).toArray(),
        curve.stream().mapToDouble(point -> point.mean(chosen)).toArray(),
        reference.mean(chosen));
  }

  /**
   * Where a rising quality reaches a target.
   *
   * @param ratios ascending
   * @param means at the ratios
   * @return see {@link #ratio}
   */
  static double match(double[] ratios, double[] means, double target) {
    int i = ratios.length - 1;
    if (means[i] < target) {
      return Double.POSITIVE_INFINITY;
    }
    while (i > 0 && means[i - 1] >= target) {
      i--;
    }
    if (i == 0) {
      return Double.NEGATIVE_INFINITY;
    }
    double part = (target - means[i - 1]) / (means[i] - means[i - 1]);
    double low = Math.log(ratios[i - 1]);
    return Math.exp(low + part * (Math.log(ratios[i]) - low));
  }

  /** Such as {@code 18 % (15 % to 22 %)}. */
  public String toText() {
    if (ratio == Double.POSITIVE_INFINITY) {
      return "more than %s, the most tried%s"
          .formatted(
              percent(most),
              low == ratio || Double.isNaN(low) ? "" : " (interval from " + end(low) + ")");
    }
    if (ratio == Double.NEGATIVE_INFINITY) {
      return "at most %s, the least tried%s"
          .formatted(
              percent(least),
              high == ratio || Double.isNaN(high) ? "" : " (interval to " + end(high) + ")");
    }
    return Double.isNaN(low)
        ? percent(ratio)
        : percent(ratio) + " (" + end(low) + " to " + end(high) + ")";
  }

  private String end(double ratio) {
    return ratio == Double.NEGATIVE_INFINITY
        ? "at most " + percent(least)
        : ratio == Double.POSITIVE_INFINITY ? "more than " + percent(most) : percent(ratio);
  }

  private static String percent(double ratio) {
    return String.format(Locale.ROOT, "%.1f %%", 100 * ratio);
  }
}
