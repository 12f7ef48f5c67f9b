package io.heatkv.eval.run;

import io.heatkv.error.UserException;
import io.heatkv.eval.learned.LearnedMetric;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.NetworkSummary;
import io.heatkv.profile.PromptSet;
import io.heatkv.resource.Release;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What an evaluation is made with, besides what is drawn.
 *
 * @param model that draws
 * @param device one of those that draw
 * @param dtype compute type
 * @param profile of policies that need one
 * @param metrics files of learned metrics
 * @param divergence whether the divergence of bits is measured
 * @param libtorch version
 */
public record EvaluationInputs(
    ModelDescription model,
    Device device,
    DType dtype,
    Optional<Path> profile,
    Map<LearnedMetric, Path> metrics,
    boolean divergence,
    String libtorch) {
  private static final int SHORT = 12;

  /**
   * Everything that decides the results.
   *
   * @throws UserException if a file can't be read
   */
  public EvaluationSettings settings(Evaluation evaluation) {
    Map<String, String> values = new LinkedHashMap<>();
    values.put("model", model.name());
    for (NetworkSummary network : model.networks()) {
      values.put(network.label().replace(' ', '_') + "_fingerprint", network.fingerprint());
    }
    values.put("profile_sha256", profile.map(file -> sha256("profile", file)).orElse("none"));
    metrics.forEach((metric, file) ->
        values.put("metric_" + metric.id() + "_sha256", weights(metric.label(), file)));
    values.put("prompts", String.valueOf(evaluation.prompts().size()));
    values.put("prompts_sha256", PromptSet.of(evaluation.prompts(), 0).sha256());
    values.put("seeds", String.valueOf(evaluation.seeds()));
    values.put("seed", String.valueOf(evaluation.seed()));
    values.put("policies", joined(evaluation.cells().stream().map(Cell::policy).toList()));
    values.put("budgets", joined(evaluation.cells().stream().map(Cell::budget).toList()));
    values.put(
        "schedules",
        joined(
            evaluation.cells().stream()
                .flatMap(cell -> cell.cache().schedule().stream())
                .map(schedule -> schedule.sha256().substring(0, SHORT))
                .toList()));
    values.put("scales", evaluation.grids().toString());
    SamplingOptions sampling = evaluation.sampling();
    values.put("cfg", joined(sampling.cfg().stream().map(String::valueOf).toList()));
    values.put("tau", joined(sampling.tau().stream().map(String::valueOf).toList()));
    if (sampling.topK() > 0) {
      values.put("top_k", String.valueOf(sampling.topK()));
    }
    values.put("top_p", String.valueOf(sampling.topP()));
    values.put("argmax", String.valueOf(sampling.argmax()));
    values.put("cfg_on_logits", String.valueOf(sampling.guidanceOnLogits()));
    values.put(
        "cfg_layers",
        joined(sampling.guidedLayers().stream().sorted().map(String::valueOf).toList()));
    values.put("kl", String.valueOf(divergence));
    values.put("batch", String.valueOf(evaluation.batch()));
    values.put("images", String.valueOf(evaluation.images()));
    values.put("device", device.isCuda() ? "cuda" : "cpu");
    values.put("dtype", dtype.toString());
    values.put("libtorch", libtorch);
    values.put(EvaluationSettings.VERSION, Release.version());
    return new EvaluationSettings(values);
  }

  private static String joined(List<String> texts) {
    return texts.stream().distinct().collect(Collectors.joining(","));
  }

  /** Exports of large networks have their weights in a second file beside the first. */
  private static String weights(String what, Path file) {
    Path data = file.resolveSibling(file.getFileName() + ".data");
    return Files.isRegularFile(data) ? sha256(what, file, data) : sha256(what, file);
  }

  private static String sha256(String what, Path... files) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Path file : files) {
        // Networks of metrics have gigabytes.
        try (DigestInputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
          in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
          throw new UserException(what + " " + file + " can't be read: " + e.getMessage(), e);
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
