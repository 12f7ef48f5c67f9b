package io.heatkv.eval.learned;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** Metrics that need a model file. */
public enum LearnedMetric {
  /**
   * Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018.
   */
  LPIPS("lpips", "LPIPS", Form.PAIR, false, 0),
  /** Heusel et al., "GANs trained by a two time-scale update rule", 2017. */
  FID("fid", "FID", Form.FEATURES, false, 0),
  /** Hessel et al., "CLIPScore: a reference-free evaluation metric for image captioning", 2021. */
  CLIP_SCORE("clip-score", "CLIP score", Form.TEXT, true, 77),
  /** Wu et al., "Human preference score v2", arXiv 2306.09341. */
  HPS_V2("hpsv2", "HPSv2", Form.TEXT, true, 77),
  /** Xu et al., "ImageReward", arXiv 2304.05977. */
  IMAGE_REWARD("image-reward", "ImageReward", Form.TEXT, true, 35);

  /** What a model reads and gives. */
  public enum Form {
    /** A picture and its reference; a score. */
    PAIR,
    /** A picture and its prompt; a score. */
    TEXT,
    /** A picture; features, which are compared as sets. */
    FEATURES
  }

  private final String id;
  private final String label;
  private final Form form;
  private final boolean higherIsBetter;
  private final int maxTokens;

  LearnedMetric(String id, String label, Form form, boolean higherIsBetter, int maxTokens) {
    this.id = id;
    this.label = label;
    this.form = form;
    this.higherIsBetter = higherIsBetter;
    this.maxTokens = maxTokens;
  }

  /** Name in options and files. */
  public String id() {
    return id;
  }

  /** Name in reports. */
  public String label() {
    return label;
  }

  public Form form() {
    return form;
  }

  public boolean higherIsBetter() {
    return higherIsBetter;
  }

  /** The longest prompt of the reference, special tokens included; 0 where none is read. */
  int maxTokens() {
    return maxTokens;
  }

  /**
   * The metric of that {@link #id}.
   *
   * @throws UserException if there is none
   */
  public static LearnedMetric of(String id) {
    return Arrays.stream(values())
        .filter(metric -> metric.id.equals(id))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "metric '%s' is unknown; those with a model file are %s"
                    .formatted(
                        id.replaceAll("\\p{Cntrl}", "?"),
                        Arrays.stream(values())
                            .map(LearnedMetric::id)
                            .collect(Collectors.joining(", ")))));
  }
}
