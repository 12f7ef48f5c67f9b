package io.heatkv.cli.options;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cli.report.KvUse;
import io.heatkv.cli.report.PictureTexts;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.image.PngText;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelProfile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Budget;
import io.heatkv.server.core.ServedModel;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.List;
import java.util.Optional;

/**
 * A model that options chose, as a server offers it.
 *
 * @param pool the loaded networks
 * @param policies how policies are made
 */
public record OfferedModel(
    ModelChoice choice, LibTorch library, DevicePool pool, PolicyOptions policies)
    implements ServedModel {
  @Override
  public String id() {
    return choice.description().name();
  }

  @Override
  public List<NextScaleModel> models() {
    return pool.generators().stream().map(ImageGenerator::model).toList();
  }

  @Override
  public ScaleGrids grids() {
    return choice.description().grids();
  }

  @Override
  public List<ScaleGrids> offeredGrids() {
    return choice.description().offeredGrids();
  }

  @Override
  public SamplingOptions sampling() {
    return choice.description().sampling();
  }

  @Override
  public int pixelsPerToken() {
    return choice.description().pixelsPerToken();
  }

  @Override
  public void requirePrompt(String prompt) {
    choice.description().requirePrompt(prompt);
  }

  @Override
  public String samplePrompt() {
    return choice.description().example();
  }

  @Override
  public CachePolicy policy(String name, String budget, ScaleGrids grids) {
    return policies.policy(name, choice, grids, Budget.parse(budget));
  }

  @Override
  public MemoryNeed need(GenerationRequest request) {
    if (choice.device().isCuda()) {
      KvShape shape = request.kvShape(choice.description(), choice.dtype());
      MemoryNeed need = choice.description().need(shape, request.policy(), choice.device());
      return new MemoryNeed(0, need.cache(), need.withGaps(choice.dtype()).scratch());
    }
    MemoryEstimate estimate = MemoryCheck.estimate(choice, request);
    return new MemoryNeed(0, estimate.cache(), estimate.activations());
  }

  @Override
  public long decodingBytes(ScaleSize grid) {
    return choice.description().decodingBytes(grid, choice.device(), choice.dtype());
  }

  @Override
  public Optional<CalibrationProfile> profile() {
    try {
      return Optional.of(ModelProfile.find(choice.description(), grids(), policies.profile()));
    } catch (UserException _) {
      return Optional.empty();
    }
  }

  @Override
  public List<PngText> texts(GenerationRequest request, int picture, int width, int height) {
    KvUse kv = KvUse.planned(request, pool.first().kvShape(request));
    return PictureTexts.of(request, picture, kv, choice, library.version(), width, height);
  }
}
