package io.heatkv.var.load;

import io.heatkv.autoencoder.DecoderFlops;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.load.Conversion;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.NetworkSummary;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.var.ClassNames;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarConfig;
import io.heatkv.var.VarModel;
import io.heatkv.var.vae.VqConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a VAR is and where its files lie.
 *
 * @param config sizes of the transformer
 * @param transformerFile its weights
 * @param vae sizes of the image tokenizer
 * @param vaeFile its weights
 * @param profile its calibration, if one lies beside the files
 * @param files that are open
 */
record VarDescription(
    VarConfig config,
    Path transformerFile,
    VqConfig vae,
    Path vaeFile,
    Optional<Path> profile,
    ModelFiles files)
    implements VarSizes, ModelDescription {
  Checkpoint transformerWeights() {
    return files.open(VarNetworks.TRANSFORMER, transformerFile);
  }

  Checkpoint vaeWeights() {
    return files.open(VarNetworks.IMAGE_TOKENIZER, vaeFile);
  }

  /** That of its published size, if its sizes are those. */
  @Override
  public String name() {
    return PublishedVar.of(config).map(PublishedVar::toString).orElse("var-depth" + config.depth());
  }

  @Override
  public Path folder() {
    return files.root();
  }

  @Override
  public String fingerprint() {
    return Fingerprint.of(transformerWeights());
  }

  @Override
  public List<NetworkSummary> networks() {
    Map<String, Object> sizes = new LinkedHashMap<>();
    sizes.put("layers", config.depth());
    sizes.put("heads", config.heads());
    sizes.put("head_dim", config.headDim());
    sizes.put("width", config.width());
    sizes.put("hidden", config.hidden());
    sizes.put("classes", config.classes());
    sizes.put("shared_adaln", config.sharedAdaptive());
    Map<String, Object> tokenizer = new LinkedHashMap<>();
    tokenizer.put("entries", vae.entries());
    tokenizer.put("channels", vae.channels());
    tokenizer.put("stride", vae.stride());
    tokenizer.put("encoder", hasEncoder());
    return List.of(
        NetworkSummary.of(
            "transformer",
            "transformer",
            transformerWeights(),
            sizes,
            "%%s, %d layers, %d heads of %d, width %d, hidden %d, %s, %d classes"
                .formatted(
                    config.depth(),
                    config.heads(),
                    config.headDim(),
                    config.width(),
                    config.hidden(),
                    config.sharedAdaptive() ? "shared adaLN" : "own adaLN",
                    config.classes())),
        NetworkSummary.of(
            "vae",
            "image tokenizer",
            vaeWeights(),
            tokenizer,
            "VQVAE, %%s, %d entries of %d channels, %d pixels a token"
                .formatted(vae.entries(), vae.channels(), vae.stride())));
  }

  @Override
  public boolean isClassConditional() {
    return true;
  }

  @Override
  public void requirePrompt(String prompt) {
    ClassNames.parse(prompt, config.classes());
  }

  @Override
  public List<String> heldOut() {
    return List.of();
  }

  @Override
  public String sampler() {
    return "Multinomial";
  }

  @Override
  public double decodeFlops(ScaleGrids grids) {
    return DecoderFlops.of(
        vae.channels(),
        vae.baseChannels(),
        vae.multipliers(),
        vae.blocks() + 1,
        vae.multipliers().size() - 1,
        grids.last().tokens());
  }

  @Override
  public boolean hasEncoder() {
    return vaeWeights().find("encoder.conv_in.weight").isPresent();
  }

  @Override
  public MemoryEstimate estimate(KvShape shape, CachePolicy policy) {
    return VarMemory.estimate(this, shape, policy);
  }

  @Override
  public RandomVar random() {
    return new RandomVar(name(), config, vae);
  }

  @Override
  public VarModel load(Backend backend, Device device, DType dtype) {
    return VarModel.load(
        name(), config, transformerWeights(), vaeWeights(), backend, device, dtype, () -> {});
  }

  @Override
  public Conversion convert(Path target, StorageType dtype, ShardedWriter.Progress progress) {
    return VarFolder.convert(this, target, dtype, progress);
  }

  @Override
  public void close() {
    files.close();
  }
}
