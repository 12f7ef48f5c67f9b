package io.heatkv.eval.run;

import io.heatkv.eval.Drawing;
import io.heatkv.eval.TokenizerFeatures;
import io.heatkv.eval.learned.FeatureModel;
import io.heatkv.eval.learned.LearnedMetric;
import io.heatkv.eval.learned.MetricModel;
import io.heatkv.eval.learned.PairModel;
import io.heatkv.eval.learned.TextModel;
import io.heatkv.family.NextScaleModel;
import io.heatkv.image.PngImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;

/**
 * What is measured in one evaluation: the built-in metrics that its pictures allow, and those whose
 * model files were given.
 */
public final class MetricSuite implements AutoCloseable {
  private final List<Metric> metrics;
  private final List<MetricModel> models = new ArrayList<>();
  private final boolean tokenizer;

  /**
   * Loads the models.
   *
   * @param files of learned metrics
   * @param width of the pictures
   * @param height of the pictures
   * @param divergence whether the divergence of bits is measured
   * @param tokenizer whether features of the model's own image tokenizer are taken
   * @throws io.heatkv.error.UserException if a file is no model of its metric
   */
  public MetricSuite(
      Map<LearnedMetric, Path> files,
      int width,
      int height,
      boolean divergence,
      boolean tokenizer) {
    metrics = new ArrayList<>(Metrics.builtIn(width, height, divergence));
    this.tokenizer = tokenizer;
    try {
      files.forEach((metric, file) -> add(MetricModel.open(metric, file, width, height)));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private void add(MetricModel opened) {
    models.add(opened);
    MetricInfo info = Metrics.info(opened.metric());
    switch (opened) {
      case PairModel model ->
          metrics.add(
              new Metric(
                  info,
                  false,
                  (full, other) ->
                      each(
                          other,
                          i -> model.score(other.pictures().get(i), full.pictures().get(i)))));
      case TextModel model ->
          metrics.add(
              new Metric(
                  info,
                  true,
                  (_, other) ->
                      each(
                          other,
                          i -> model.score(other.pictures().get(i), other.prompts().get(i)))));
      case FeatureModel _ -> {}
    }
  }

  private static double[] each(Drawing drawn, IntToDoubleFunction score) {
    return IntStream.range(0, drawn.pictures().size()).parallel().mapToDouble(score).toArray();
  }

  /** Numbers of each metric, one for each picture. */
  Map<String, List<Double>> values(Drawing full, Drawing other) {
    return values(full, other, metrics);
  }

  /** Those of the full cache's own pictures: of metrics that compare nothing. */
  Map<String, List<Double>> valuesOfFull(Drawing full) {
    return values(full, full, metrics.stream().filter(Metric::isAbsolute).toList());
  }

  private static Map<String, List<Double>> values(
      Drawing full, Drawing other, List<Metric> metrics) {
    Map<String, List<Double>> values = new LinkedHashMap<>();
    for (Metric metric : metrics) {
      double[] measured = metric.measure().of(full, other);
      values.put(
          metric.info().id(),
          IntStream.range(0, measured.length).mapToObj(i -> measured[i]).toList());
    }
    return values;
  }

  /** Features of each picture for metrics that compare sets, by their ids. */
  Map<String, List<float[]>> features(NextScaleModel model, List<PngImage> pictures) {
    Map<String, List<float[]>> features = new LinkedHashMap<>();
    if (tokenizer) {
      features.put(Metrics.TOKENIZER_DISTANCE.id(), TokenizerFeatures.of(model, pictures));
    }
    for (MetricModel opened : models) {
      if (opened instanceof FeatureModel network) {
        features.put(
            opened.metric().id(), pictures.stream().parallel().map(network::features).toList());
      }
    }
    return features;
  }

  @Override
  public void close() {
    models.forEach(MetricModel::close);
  }
}
