package io.heatkv.testkit.toy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.CheckpointImport;
import io.heatkv.load.Conversion;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.NetworkSummary;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a toy model is: its one file. */
record ToyDescription(ToyConfig config, Path file, ModelFiles files)
    implements ToySizes, ModelDescription {
  private Checkpoint weights() {
    return files.open(ToyFamily.NETWORK, file);
  }

  @Override
  public String name() {
    return "toy";
  }

  @Override
  public Path folder() {
    return files.root();
  }

  @Override
  public Optional<Path> profile() {
    List<Path> profiles = files.profiles();
    return profiles.size() == 1 ? Optional.of(profiles.getFirst()) : Optional.empty();
  }

  @Override
  public String fingerprint() {
    return Fingerprint.of(weights());
  }

  @Override
  public List<NetworkSummary> networks() {
    return List.of(
        NetworkSummary.of(
            "transformer",
            "transformer",
            weights(),
            Map.of("layers", config.layers()),
            "%s, " + config.layers() + " layers"));
  }

  @Override
  public boolean isClassConditional() {
    return true;
  }

  @Override
  public void requirePrompt(String prompt) {
    ToyConfig.classOf(prompt);
  }

  @Override
  public List<String> heldOut() {
    return ToyConfig.CLASSES;
  }

  @Override
  public String sampler() {
    return "Multinomial";
  }

  /** One linear map a token. */
  @Override
  public double decodeFlops(ScaleGrids grids) {
    return 2.0 * grids.last().tokens() * ToyConfig.CHANNELS * 3 * pixelsPerToken();
  }

  @Override
  public boolean hasEncoder() {
    return true;
  }

  @Override
  public MemoryEstimate estimate(KvShape shape, CachePolicy policy) {
    MemoryNeed need = transformerNeed(shape, policy, Device.CPU);
    return new MemoryEstimate(need.weights(), 0, need.cache(), need.scratch());
  }

  @Override
  public ToyRandom random() {
    return new ToyRandom(config);
  }

  @Override
  public Conversion convert(Path target, StorageType dtype, ShardedWriter.Progress progress) {
    CheckpointImport.Result result =
        CheckpointImport.run(
            weights(), target, dtype, CheckpointImport.DEFAULT_SHARD_BYTES, progress);
    return new Conversion(result.written(), result.kept(), result.overflowed(), Optional.empty());
  }

  @Override
  public ToyModel load(Backend backend, Device device, DType dtype) {
    return new ToyModel(config, weights(), backend, device, dtype);
  }

  @Override
  public void close() {
    files.close();
  }
}
