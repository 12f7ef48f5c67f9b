package io.heatkv.var;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A small VAR as a model of the engine: its requests, and files that don't make a model. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class VarModelTest {
  private static final Path GOLDEN = TestDevice.resource("/golden-var/var-a");
  private static final Path TRANSFORMER = GOLDEN.resolve("tiny_var.safetensors");
  private static final Path TOKENIZER = GOLDEN.resolve("tiny_vqvae.safetensors");
  private static final SamplingOptions SAMPLING =
      SamplingOptions.of(1.5, 1, 0.95).withTopK(40).withNeutralCfg(0);

  private final Backend backend = TestDevice.backend();
  private final Checkpoint transformer = Checkpoints.open(TRANSFORMER);
  private final Checkpoint tokenizer = Checkpoints.open(TOKENIZER);
  private VarModel model;

  @TempDir Path folder;

  @BeforeAll
  void load() {
    model = load(transformer, tokenizer);
  }

  @AfterAll
  void close() {
    model.close();
    tokenizer.close();
    transformer.close();
  }

  private VarModel load(Checkpoint drawing, Checkpoint decoding) {
    VarConfig config = VarConfig.infer(drawing);
    return VarModel.load(
        "small", config, drawing, decoding, backend, TestDevice.device(), DType.F32, () -> {});
  }

  private static PictureRequest picture(int label, long seed, SamplingOptions sampling) {
    return new PictureRequest(Integer.toString(label), seed, sampling);
  }

  private List<byte[]> draw(PictureRequest... pictures) {
    GenerationRequest request =
        new GenerationRequest(List.of(pictures), model.config().grids(), CachePolicy.FULL);
    try (Generation generation = Generation.open(model, request)) {
      return generation.finish().images().stream().map(each -> each.pixels().rgb()).toList();
    }
  }

  /** Neighbours of other classes, seeds and settings, with and without a cancelled one. */
  @Test
  void aPictureIsTheSameInAnyBatch() {
    PictureRequest[] pictures = {
      picture(3, 7, SAMPLING),
      picture(17, 8, SAMPLING.withTopK(5)),
      picture(3, 9, SamplingOptions.of(4, 0.8, 1).withNeutralCfg(0)),
      picture(0, 7, SAMPLING.withArgmax())
    };
    List<byte[]> together = draw(pictures);
    for (int i = 0; i < pictures.length; i++) {
      assertThat(together.get(i)).isEqualTo(draw(pictures[i]).getFirst());
    }
    GenerationRequest request =
        new GenerationRequest(List.of(pictures), model.config().grids(), CachePolicy.FULL);
    try (Generation generation = Generation.open(model, request)) {
      generation.step();
      generation.step();
      generation.cancel(1);
      generation
          .finish()
          .images()
          .forEach(each -> assertThat(each.pixels().rgb()).isEqualTo(together.get(each.index())));
    }
  }

  @Test
  void withoutGuidanceNoRowIsUnconditional() {
    SamplingOptions none = SamplingOptions.of(0, 1, 1).withNeutralCfg(0).withArgmax();
    // With two rows, strength 0 leaves the conditional logits as they are.
    SamplingOptions both = none.withNeutralCfg(1);
    assertThat(none.isGuided()).isFalse();
    assertThat(both.isGuided()).isTrue();
    assertThat(draw(picture(3, 1, none)).getFirst())
        .isEqualTo(draw(picture(3, 1, both)).getFirst());
    refused(() -> draw(picture(3, 1, SamplingOptions.of(1, 1, 1))), "is unguided at cfg 0");
  }

  @Test
  void aNegativeClassTakesThePlaceOfNone() {
    PictureRequest other = new PictureRequest("3", Optional.of("17"), 7, SAMPLING.withArgmax());
    assertThat(draw(other).getFirst())
        .isNotEqualTo(draw(picture(3, 7, SAMPLING.withArgmax())).getFirst());
  }

  @Test
  void drawsOverItsOwnGridsAlone() {
    for (String scales : List.of("1x1,2x2,3x3,4x4", "1x1,2x2,3x3,4x4,6x6", "1x1,2x3,3x3,4x4,5x5")) {
      refused(
          () -> model.requireDrawable(ScaleGrids.parse(scales)),
          "model small draws 80x80 pixels over the grids 1x1,2x2,3x3,4x4,5x5, not over " + scales);
    }
  }

  @Test
  void guidesLogitsOnly() {
    SamplingOptions inside =
        new SamplingOptions(List.of(3.0), List.of(1.0), 0, 1, false, false, Set.of(-1), 0);
    refused(() -> draw(picture(3, 1, inside)), "guidance on logits only");
  }

  @Test
  void freesAllTensors() {
    long live = backend.liveTensors();
    draw(picture(3, 7, SAMPLING), picture(4, 7, SAMPLING));
    try (VarModel _ = load(transformer, tokenizer)) {
      assertThat(backend.liveTensors()).isGreaterThan(live);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static void refused(ThrowingCallable call, String expected) {
    assertThatThrownBy(call)
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected)
        .hasMessageNotContaining("\n");
  }

  /** A copy of a file with those of its tensors that {@code change} gives. */
  private Path changed(Path file, Function<TensorEntry, Optional<TensorEntry>> change) {
    Path copy = folder.resolve("changed-" + file.getFileName());
    try (Checkpoint source = Checkpoints.open(file)) {
      SafetensorsWriter.write(
          copy,
          source.names().stream()
              .map(source::entry)
              .flatMap(entry -> change.apply(entry).stream())
              .map(entry -> new Item(entry.name(), entry.dtype(), entry.shape(), entry::bytes))
              .toList(),
          Map.of());
    }
    return copy;
  }

  /** The first rows, in the dimension that isn't 1. */
  private static TensorEntry narrowed(TensorEntry entry, long rows) {
    long[] shape = entry.shape();
    shape[shape[0] == 1 ? 1 : 0] = rows;
    long bytes = entry.dtype().bytesOf(shape);
    return new TensorEntry(entry.name(), entry.dtype(), shape, entry.bytes().asSlice(0, bytes));
  }

  @ParameterizedTest
  @CsvSource({
    "tiny_var, pos_1LC, 30, pos_1LC has 30 positions",
    "tiny_var, lvl_embed.weight, 4, 'lvl_embed 4 scales, but the grids 1x1,2x2,3x3,4x4,5x5'",
    "tiny_var, lvl_1L, 54, isn't that of square grids",
    "tiny_var, lvl_1L, 0, 'has 55 positions, which no published grids have'",
    "tiny_var, head.weight, 32, 'has a codebook of 64 entries of 8 channels, but transformer'",
    "tiny_vqvae, quantize.embedding.weight, 32, 'has a codebook of 32 entries of 8 channels'",
    "tiny_vqvae, quantize.quant_resi.qresi_ls.3.weight, 0, missing 'quantize.quant_resi.qresi_ls.3",
    "tiny_vqvae, quantize.quant_resi.qresi_ls.1.bias, 0, missing 'quantize.quant_resi.qresi_ls.1",
    "tiny_vqvae, decoder.mid.attn_1.qkv.weight, 0, missing 'decoder.mid.attn_1.qkv.weight'",
    "tiny_var, blocks.1.attn.scale_mul_1H11, 0, missing 'blocks.1.attn.scale_mul_1H11'"
  })
  void filesThatMakeNoModelAreRefused(String file, String tensor, long rows, String expected) {
    Path wrong =
        changed(
            GOLDEN.resolve(file + ".safetensors"),
            entry ->
                !entry.name().equals(tensor)
                    ? Optional.of(entry)
                    : Optional.of(rows).filter(some -> some > 0).map(r -> narrowed(entry, r)));
    long live = backend.liveTensors();
    try (Checkpoint opened = Checkpoints.open(wrong)) {
      boolean drawing = file.equals("tiny_var");
      refused(() -> load(drawing ? opened : transformer, drawing ? tokenizer : opened), expected);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Constants, and the mask of training. */
  @Test
  void buffersMayBeMissing() {
    Path file =
        changed(
            TRANSFORMER,
            entry ->
                Optional.of(entry)
                    .filter(each ->
                        !each.name().endsWith("zero_k_bias")
                            && !each.name().equals("attn_bias_for_masking")));
    try (Checkpoint bare = Checkpoints.open(file);
        VarModel other = load(bare, tokenizer)) {
      assertThat(other.config()).isEqualTo(model.config());
    }
  }

  /** Without the buffer that tells them, the grids of published sizes are known by their tokens. */
  @ParameterizedTest
  @EnumSource(PublishedVar.class)
  void publishedSizesAreToldByShapes(PublishedVar size) throws IOException {
    Map<String, long[]> shapes = VarKeys.shapes(size.config());
    // Of holes.
    Path file = folder.resolve("holes");
    try (RandomAccessFile holes = new RandomAccessFile(file.toFile(), "rw");
        Arena arena = Arena.ofConfined()) {
      holes.setLength(1 << 28);
      MemorySegment bytes = holes.getChannel().map(MapMode.READ_ONLY, 0, 1 << 28, arena);
      assertToldByShapes(size, new ShapesOnly(shapes, bytes));
    }
  }

  private static void assertToldByShapes(PublishedVar size, Checkpoint checkpoint) {
    VarConfig config = VarConfig.infer(checkpoint);
    assertThat(config).isEqualTo(size.config());
    assertThat(PublishedVar.of(config)).contains(size);
    assertThat(config.grids().cachedTokens()).isEqualTo(size == PublishedVar.D36 ? 1216 : 424);
  }

  private record ShapesOnly(Map<String, long[]> shapes, MemorySegment bytes) implements Checkpoint {
    @Override
    public Path path() {
      return Path.of("shapes");
    }

    @Override
    public Set<String> names() {
      return shapes.keySet();
    }

    @Override
    public Optional<TensorEntry> find(String name) {
      return Optional.ofNullable(shapes.get(name))
          .map(shape ->
              new TensorEntry(
                  name, StorageType.F32, shape, bytes.asSlice(0, StorageType.F32.bytesOf(shape))));
    }

    @Override
    public Map<String, String> metadata() {
      return Map.of();
    }

    @Override
    public void close() {}
  }
}
