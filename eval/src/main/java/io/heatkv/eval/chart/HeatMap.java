package io.heatkv.eval.chart;

import static io.heatkv.eval.chart.HeatMapHeader.MARGIN;

import io.heatkv.error.UserException;
import io.heatkv.eval.chart.ChartPage.Placed;
import io.heatkv.eval.chart.HeatMapHeader.Swatch;
import io.heatkv.image.PngImage;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.Precision;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.knowm.xchart.HeatMapChart;

/**
 * Who attends to what: for each source scale the S-CAS of every head in every layer as colour; with
 * a schedule, also which of these heads every later scale still finds in the cache.
 */
public final class HeatMap {
  private static final int PERCENT = 100;

  private final String origin;
  private final CalibrationProfile profile;
  private final CalibrationSetup setup;
  private final HeadScores scores;
  private final Optional<CacheSchedule> schedule;
  private final int most;

  /**
   * @param origin what the profile is called
   * @param profile with at least one prompt done
   * @param schedule made from the profile, to be shown over its scores
   * @throws UserException if no prompt is done, or Java finds no fonts
   */
  public HeatMap(String origin, CalibrationProfile profile, Optional<CacheSchedule> schedule) {
    if (profile.promptsDone() == 0) {
      throw new UserException(origin + ": has no prompt done; calibrate at least one");
    }
    ChartText.requireFonts();
    this.origin = origin;
    this.profile = profile;
    this.setup = profile.setup();
    this.scores = profile.scores();
    this.schedule = schedule;
    this.most = rounded(PERCENT * largest(scores));
  }

  /** The chart as pixels. */
  public PngImage png() {
    return page().png();
  }

  /** The chart as the text of an SVG file. */
  public String svg() {
    return page().svg();
  }

  private ChartPage page() {
    return schedule.map(this::scheduled).orElseGet(this::overview);
  }

  /** A panel for each scale that is stored, sink scales first. */
  private ChartPage overview() {
    int panels = setup.grids().count() - 1;
    int columns = (int) Math.ceil(Math.sqrt(panels));
    int width = 340;
    int height = 250;
    HeatMapHeader header = header(List.of());
    List<Placed> charts = new ArrayList<>();
    for (int source = 0; source < panels; source++) {
      String sink = scores.isScored(source) ? "" : ", sink";
      charts.add(
          new Placed(
              panel("source " + scale(source) + sink, source, _ -> true),
              MARGIN + source % columns * width,
              header.height() + source / columns * height,
              width,
              height));
    }
    return header.page(columns * width, Math.ceilDiv(panels, columns) * height, charts);
  }

  /** Source scales over target scales, each row beginning with all heads. */
  private ChartPage scheduled(CacheSchedule planned) {
    int first = setup.sinkScales();
    int last = setup.grids().count() - 1;
    int width = 215;
    int height = 185;
    HeatMapHeader header =
        header(
            List.of(
                String.format(
                    Locale.ROOT,
                    "Budget %s: the cache holds at most %.2f %% of the full cache's keys and"
                        + " values. Rows are source scales. The first column shows all heads; the"
                        + " others, what is kept when a target scale is drawn.",
                    planned.budget(),
                    PERCENT * planned.peakRatio())));
    List<Placed> charts = new ArrayList<>();
    for (int target = first; target <= last; target++) {
      Map<Atom, Level> found = planned.seen(target);
      Predicate<Atom> shown = target == first ? _ -> true : found::containsKey;
      for (int source = first; source < last; source++) {
        if (target == first || target > source) {
          String title =
              target == first
                  ? "source " + scale(source)
                  : "at scale %d: %s kept".formatted(target, kept(source, found));
          charts.add(
              new Placed(
                  panel(title, source, shown),
                  MARGIN + (target - first) * width,
                  header.height() + (source - first) * height,
                  width,
                  height));
        }
      }
    }
    return header.page((last - first + 1) * width, (last - first) * height, charts);
  }

  private HeatMapHeader header(List<String> further) {
    int last = setup.grids().count() - 1;
    List<String> lines = new ArrayList<>();
    lines.add(
        "Model %s, fingerprint %.12s…: %d layers of %d heads. Profile %s: %d prompts."
            .formatted(
                setup.model(),
                setup.fingerprint(),
                setup.layers(),
                setup.heads(),
                origin,
                profile.promptsDone()));
    lines.add(
        "A picture is drawn scale by scale, %s to %s tokens; each scale attends to the keys and values"
                .formatted(setup.grids().size(0), setup.grids().last())
            + " that earlier ones left in the cache.");
    lines.add(
        "Colour: S-CAS, the share of a later scale's attention that falls on all tokens of the source"
            + " scale; mean over queries, prompts and later scales.");
    lines.add(
        "%s The last scale, %d (%s), attends but is never stored."
            .formatted(sinks(), last, setup.grids().last()));
    lines.addAll(further);
    List<Swatch> swatches =
        schedule.isPresent()
            ? List.of(new Swatch(HeadPanel.DROPPED, "dropped: no longer in the cache"))
            : setup.sinkScales() > 0
                ? List.of(new Swatch(HeadPanel.SINK, "sink scale: always kept, not scored"))
                : List.of();
    return new HeatMapHeader(
        "Who attends to what: the heads of " + setup.model(), lines, most, swatches);
  }

  private String sinks() {
    List<String> names = IntStream.range(0, setup.sinkScales()).mapToObj(this::scale).toList();
    return names.isEmpty()
        ? "There are no sink scales."
        : "Sink scales, always kept and not scored: " + String.join(", ", names) + ".";
  }

  private HeatMapChart panel(String title, int source, Predicate<Atom> shown) {
    boolean scored = scores.isScored(source);
    return HeadPanel.of(
        title,
        setup.layers(),
        setup.heads(),
        (layer, head) ->
            scored && shown.test(new Atom(source, head, layer))
                ? PERCENT * scores.score(source, layer, head)
                : Double.NaN,
        scored ? HeadPanel.DROPPED : HeadPanel.SINK,
        most);
  }

  private String scale(int scale) {
    return "scale %d (%s)".formatted(scale, setup.grids().size(scale));
  }

  /** How many of a source scale's heads are there, and how they are stored on average. */
  private String kept(int source, Map<Atom, Level> found) {
    List<Level> levels =
        found.entrySet().stream()
            .filter(entry -> entry.getKey().source() == source)
            .map(Map.Entry::getValue)
            .toList();
    String count = "%d of %d".formatted(levels.size(), setup.layers() * setup.heads());
    double most = 1.0 * setup.grids().tokens(source) * Precision.FLOAT16.entryGranules();
    double mean =
        levels.stream()
            .mapToDouble(level ->
                level.entries(setup.grids().size(source)) * level.precision().entryGranules())
            .average()
            .orElse(most);
    // At one level, the whole of it, nothing is to be said.
    return mean == most
        ? count
        : String.format(Locale.ROOT, "%s, in %.0f %%", count, PERCENT * mean / most);
  }

  private static double largest(HeadScores scores) {
    double largest = 0;
    for (int source = scores.sinkScales(); source < scores.scales() - 1; source++) {
      for (int layer = 0; layer < scores.layers(); layer++) {
        for (int head = 0; head < scores.heads(); head++) {
          largest = Math.max(largest, scores.score(source, layer, head));
        }
      }
    }
    return largest;
  }

  /** Whole percents that can be labelled evenly. */
  private static int rounded(double percent) {
    int whole = Math.max(1, (int) Math.ceil(percent));
    int step = HeadPanel.labelStep(whole);
    return Math.ceilDiv(whole, step) * step;
  }
}
