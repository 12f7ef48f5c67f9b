package io.heatkv.cli.commands;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.family.NextScaleModel;
import io.heatkv.image.PngText;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.RandomModel;
import io.heatkv.policy.CachePolicies;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Budget;
import io.heatkv.server.core.ServedModel;
import java.util.List;
import java.util.Optional;

/**
 * A random model as a server offers it.
 *
 * @param bench makes its policies
 * @param sizes of it
 * @param model its networks
 */
record RandomServedModel(SyntheticBench bench, RandomModel sizes, NextScaleModel model)
    implements ServedModel {
  @Override
  public List<NextScaleModel> models() {
    return List.of(model);
  }

  @Override
  public String id() {
    return sizes.name();
  }

  @Override
  public ScaleGrids grids() {
    return bench.scales().grids(sizes);
  }

  @Override
  public SamplingOptions sampling() {
    return sizes.sampling();
  }

  @Override
  public List<ScaleGrids> offeredGrids() {
    return sizes.offeredGrids();
  }

  @Override
  public int pixelsPerToken() {
    return sizes.pixelsPerToken();
  }

  @Override
  public void requirePrompt(String prompt) {}

  @Override
  public String samplePrompt() {
    return sizes.example();
  }

  @Override
  public CachePolicy policy(String name, String budget, ScaleGrids grids) {
    return CachePolicies.whole(name)
        .orElseGet(
            () -> bench.policy(name, sizes.kvShape(model.dtype(), grids), Budget.parse(budget)));
  }

  @Override
  public MemoryNeed need(GenerationRequest request) {
    KvShape shape =
        sizes.kvShape(request.images(), request.rowsPerPicture(), model.dtype(), request.grids());
    MemoryNeed need = sizes.need(shape, request.policy(), model.device());
    MemoryNeed served = model.device().isCuda() ? need.withGaps(model.dtype()) : need;
    return new MemoryNeed(0, need.cache(), served.scratch());
  }

  @Override
  public long decodingBytes(ScaleSize grid) {
    return sizes.decodingBytes(grid, model.device(), model.dtype());
  }

  @Override
  public Optional<CalibrationProfile> profile() {
    return Optional.empty();
  }

  @Override
  public List<PngText> texts(GenerationRequest request, int picture, int width, int height) {
    return List.of();
  }
}
