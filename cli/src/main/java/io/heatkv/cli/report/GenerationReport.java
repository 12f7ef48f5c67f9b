package io.heatkv.cli.report;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.Picture;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.resource.Release;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run of {@code generate} did, for programs.
 *
 * @param choice the model and where it ran
 * @param library that computed
 * @param pool of the devices that drew
 * @param loadMillis opening libtorch and loading the model
 * @param start when drawing began, by {@link System#nanoTime}
 * @param images one map for each picture
 */
public record GenerationReport(
    ModelChoice choice,
    LibTorch library,
    DevicePool pool,
    double loadMillis,
    long start,
    List<Map<String, Object>> images) {
  /** From when all is loaded. */
  public GenerationReport(
      ModelChoice choice, LibTorch library, DevicePool pool, double loadMillis) {
    this(choice, library, pool, loadMillis, System.nanoTime(), new ArrayList<>());
  }

  /**
   * Adds a picture that was written.
   *
   * @param index of the picture in the result
   */
  public void add(
      GenerationRequest request,
      int index,
      Path file,
      List<Path> scaleFiles,
      GenerationResult result,
      KvUse kv,
      double writeMillis) {
    Picture image = result.images().get(index);
    GenerationResult.Timings timings = result.timings();
    Map<String, Object> millis = new LinkedHashMap<>();
    millis.put("text", timings.text());
    millis.put("scales", timings.scales());
    millis.put("transformer", timings.transformer());
    millis.put("decode", timings.decode());
    millis.put("write", writeMillis);
    millis.put("total", timings.total() + writeMillis);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", file);
    json.put("scale_files", scaleFiles);
    json.put("prompt", image.request().prompt());
    json.put("seed", image.request().seed());
    json.put("width", image.pixels().width());
    json.put("height", image.pixels().height());
    json.put("scales", request.grids());
    json.put("tokens", result.tokens());
    json.put("cache", request.policy().name());
    json.putAll(kv.toJson());
    json.put("batch", request.images());
    json.put("timings_ms", millis);
    json.put("warnings", result.warnings());
    images.add(json);
  }

  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("version", Release.version());
    json.put("java", Runtime.version());
    json.put("libtorch", library.version());
    json.put("model", choice.description().name());
    json.put("device", pool.devices());
    json.put("dtype", choice.dtype());
    json.put("threads", library.threads());
    json.put("load_ms", loadMillis);
    double seconds = (System.nanoTime() - start) / 1e9;
    json.put("draw_seconds", seconds);
    json.put("pictures_per_second", images.size() / seconds);
    Hardware.peakResident().ifPresent(bytes -> json.put("peak_resident_bytes", bytes));
    json.put("images", images);
    return json;
  }
}
