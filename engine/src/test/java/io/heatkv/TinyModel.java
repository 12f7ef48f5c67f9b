package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.PolicyCases;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.infinity.vae.VaeKeys;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The transformer of the recorded runs, which draws in milliseconds, with an image tokenizer of
 * random weights. A prompt's text features are made up from its letters, as many as it has.
 */
final class TinyModel implements AutoCloseable {
  static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4");

  private final Checkpoint transformer;
  private final Checkpoint vae;
  private final InfinityModel model;

  /** Prompts in the order in which they were encoded. */
  final List<String> encoded = new CopyOnWriteArrayList<>();

  /**
   * @param folder for the image tokenizer
   */
  TinyModel(Path folder) {
    Backend backend = TestDevice.backend();
    transformer = Checkpoints.open(TestDevice.resource("/golden-extra/infinity.safetensors"));
    TransformerConfig config = TransformerConfigs.infer(transformer, false);
    VaeConfig decoder = new VaeConfig(config.bits(), 32, List.of(1), List.of(), 1, 1);
    vae =
        Checkpoints.open(
            SyntheticCheckpoint.write(
                    folder, VaeKeys.decoder(decoder), StorageType.F32, 1, 1 << 20, (_, _, _) -> {})
                .index());
    model =
        new InfinityModel(
            "tiny",
            new InfinityTransformer(config, transformer, backend, TestDevice.device(), DType.F32),
            new MultiScaleBsq(config.bits(), false),
            (prompt, _) -> features(backend, prompt, config.textChannels()),
            Optional.of(new BsqVae(decoder, vae, backend, TestDevice.device(), DType.F32)));
  }

  private Tensor features(Backend backend, String prompt, int channels) {
    encoded.add(prompt);
    float[] values =
        PolicyCases.gaussian(new Random(prompt.hashCode()), prompt.length() * channels);
    return Tensor.of(backend, values, prompt.length(), channels).to(TestDevice.device());
  }

  NextScaleModel model() {
    return model;
  }

  /** As the front door opens it, with a look inside: the conditioning is closed at once. */
  Generation open(
      GenerationRequest request, @Nullable TokenChooser chooser, ScaleObserver observer) {
    try (Conditioning text = model.encode(request.pictures(), request.rowsPerPicture() > 1)) {
      return Generation.open(model, text, request, chooser, observer);
    }
  }

  /** A policy by name; all that drop something have half of the full cache. */
  CachePolicy policy(String name) {
    KvShape shape = model.kvShape(1, 1, SCALES);
    return CachePolicies.create(
        name, PolicyCases.inputs(shape, CachePolicies.whole(name).isPresent() ? 1 : 0.5, 3));
  }

  /**
   * The full cache with an interruption of every attention and removal.
   *
   * @param attending is given the scale
   */
  static CachePolicy interrupted(IntConsumer attending, Runnable removing) {
    return new CachePolicy() {
      @Override
      public String name() {
        return "interrupted";
      }

      @Override
      public KvPlan plan(KvShape shape) {
        KvPlan full = KvPlan.full(shape);
        return new KvPlan(
            full.bytes(),
            full.parts(),
            full.peakBytes(),
            full.copyBytes(),
            (backend, device) -> new Interrupted(full.open(backend, device), attending, removing));
      }
    };
  }

  private record Interrupted(KvCache cache, IntConsumer attending, Runnable removing)
      implements KvCache {
    @Override
    public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
      attending.accept(scale);
      return cache.attend(layer, scale, q, k, v);
    }

    @Override
    public void removeRows(int first, int count) {
      removing.run();
      cache.removeRows(first, count);
    }

    @Override
    public KvMemory memory() {
      return cache.memory();
    }

    @Override
    public void close() {
      cache.close();
    }
  }

  /** Pixels of pictures, to be compared. */
  static List<ByteBuffer> pixels(List<Picture> pictures) {
    return pictures.stream().map(picture -> ByteBuffer.wrap(picture.pixels().rgb())).toList();
  }

  /** Tokens of the scale drawn last, to be compared. */
  static List<IntBuffer> tokens(Generation generation) {
    return generation.tokens().stream().map(IntBuffer::wrap).toList();
  }

  @Override
  public void close() {
    model.close();
    vae.close();
    transformer.close();
  }
}
