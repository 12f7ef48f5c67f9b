package io.heatkv.eval.run;

import io.heatkv.eval.MsSsim;
import io.heatkv.eval.Psnr;
import io.heatkv.eval.Ssim;
import io.heatkv.eval.TokenDivergence;
import io.heatkv.eval.learned.LearnedMetric;
import io.heatkv.eval.run.MetricInfo.Direction;
import io.heatkv.image.PngImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.IntStream;

/** The metrics that need no model file. */
public final class Metrics {
  /** PSNR that equal pictures count with, whose ratio is infinite; nearer ones do so as well. */
  public static final double HIGHEST_PSNR = 60;

  public static final MetricInfo PSNR =
      new MetricInfo(
          "psnr",
          "PSNR",
          "dB",
          Direction.HIGHER,
          HIGHEST_PSNR,
          2,
          "over all channels; 60 dB and more, and equal pictures, count as 60 dB");
  public static final MetricInfo SSIM =
      new MetricInfo(
          "ssim",
          "SSIM",
          "",
          Direction.HIGHER,
          1,
          4,
          "on luma, 11x11 Gaussian window of sigma 1.5");
  public static final MetricInfo MS_SSIM =
      new MetricInfo("ms_ssim", "MS-SSIM", "", Direction.HIGHER, 1, 4, "five scales, on luma");
  public static final MetricInfo EQUAL_BITS =
      new MetricInfo(
          "equal_bits",
          "Equal bits",
          "",
          Direction.HIGHER,
          1,
          4,
          "share of all bits equal to the full cache's, each run drawn from its own earlier"
              + " scales");
  public static final MetricInfo KL =
      new MetricInfo(
          "kl",
          "KL of bits",
          "nats/bit",
          Direction.LOWER,
          Double.POSITIVE_INFINITY,
          5,
          "divergence from the full cache's bit probabilities when both see the full cache's"
              + " earlier bits (teacher forcing)");
  public static final MetricInfo IDENTICAL =
      new MetricInfo(
          "identical",
          "Identical pictures",
          "",
          Direction.HIGHER,
          1,
          3,
          "share of pictures equal to the byte");

  public static final MetricInfo TOKENIZER_DISTANCE =
      new MetricInfo(
          "tokenizer_distance",
          "Fréchet distance of tokenizer features",
          "",
          Direction.LOWER,
          Double.POSITIVE_INFINITY,
          5,
          "between the full cache's pictures and these as sets, by the model's own image encoder;"
              + " not an FID");

  private Metrics() {}

  /** What a learned metric is. */
  static MetricInfo info(LearnedMetric metric) {
    return new MetricInfo(
        metric.id(),
        metric.label(),
        "",
        metric.higherIsBetter() ? Direction.HIGHER : Direction.LOWER,
        Double.POSITIVE_INFINITY,
        4,
        "by the model file that was named");
  }

  /**
   * Those that pictures of a size allow.
   *
   * @param divergence whether the divergence of bits is measured, at twice the time
   */
  public static List<Metric> builtIn(int width, int height, boolean divergence) {
    List<Metric> metrics = new ArrayList<>();
    metrics.add(pixels(PSNR, (a, b) -> Math.min(HIGHEST_PSNR, Psnr.of(a, b))));
    metrics.add(pixels(SSIM, Ssim::of));
    if (MsSsim.isDefined(width, height)) {
      metrics.add(pixels(MS_SSIM, MsSsim::of));
    }
    metrics.add(
        new Metric(
            EQUAL_BITS,
            false,
            (full, other) ->
                IntStream.range(0, full.pictures().size())
                    .mapToDouble(i -> full.agreement(other, i).overall())
                    .toArray()));
    if (divergence) {
      metrics.add(
          new Metric(
              KL,
              false,
              (_, other) ->
                  other.divergence().stream().mapToDouble(TokenDivergence::overall).toArray()));
    }
    metrics.add(pixels(IDENTICAL, (a, b) -> Arrays.equals(a.rgb(), b.rgb()) ? 1 : 0));
    return metrics;
  }

  /** Picture by picture, on all cores. */
  private static Metric pixels(MetricInfo info, ToDoubleBiFunction<PngImage, PngImage> metric) {
    return new Metric(
        info,
        false,
        (full, other) ->
            IntStream.range(0, full.pictures().size())
                .parallel()
                .mapToDouble(
                    i -> metric.applyAsDouble(full.pictures().get(i), other.pictures().get(i)))
                .toArray());
  }

  /** All that may be measured, in the order in which they are shown. */
  public static List<MetricInfo> all() {
    List<MetricInfo> all = new ArrayList<>();
    all.addAll(List.of(PSNR, SSIM, MS_SSIM, KL, EQUAL_BITS, IDENTICAL, TOKENIZER_DISTANCE));
    Arrays.stream(LearnedMetric.values()).map(Metrics::info).forEach(all::add);
    return all;
  }

  /** A line for each metric that wasn't measured, with the reason. */
  public static List<String> missing(List<MetricInfo> measured) {
    List<String> lines = new ArrayList<>();
    if (!measured.contains(MS_SSIM)) {
      lines.add(
          "MS-SSIM: needs pictures of "
              + MsSsim.LEAST_EDGE
              + " pixels or more on each side for its five scales.");
    }
    if (!measured.contains(KL)) {
      lines.add("KL of bits: left out as asked for.");
    }
    if (!measured.contains(TOKENIZER_DISTANCE)) {
      lines.add(
          "Fréchet distance of tokenizer features: needs two prompts and an image tokenizer with"
              + " its encoder.");
    }
    for (LearnedMetric metric : LearnedMetric.values()) {
      if (!measured.contains(info(metric))) {
        lines.add(
            "%s: no model file was given; name one for metric %s (docs/metrics.md)."
                .formatted(metric.label(), metric.id()));
      }
    }
    return lines;
  }
}
