package io.heatkv.var.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.ModelSizes;
import io.heatkv.load.ModelSource;
import io.heatkv.load.Synthesis;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** VAR's files as a model: what is found, refused, converted and made of random weights. */
class VarFamilyTest {
  private static final String TRANSFORMER = "tiny_var.safetensors";
  private static final String SHARED = "tiny_var_saln.safetensors";
  private static final String TOKENIZER = "tiny_vqvae.safetensors";

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  private void copy(String... names) throws IOException {
    for (String name : names) {
      Files.copy(
          TestDevice.resource("/golden-var/var-a").resolve(name), folder.resolve("own-" + name));
    }
  }

  private static void refused(ThrowingCallable call, String... expected) {
    assertThatThrownBy(call)
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll(expected)
        .hasMessageNotContaining("\n");
  }

  @Test
  void filesAreToldByTheirContent() throws IOException {
    copy(TRANSFORMER, TOKENIZER);
    FoundModel found = ModelSource.locate(folder.toString());
    try (ModelDescription model = found.description()) {
      assertThat(model.name()).isEqualTo("var-depth3");
      assertThat(model.isClassConditional()).isTrue();
      assertThat(model.grids()).hasToString("1x1,2x2,3x3,4x4,5x5");
      assertThat(model.sampling().topK()).isEqualTo(900);
      assertThat(model.sampling().neutralCfg()).isZero();
      assertThat(model.pixelsPerToken()).isEqualTo(16);
      assertThat(model.hasEncoder()).isTrue();
      assertThat(model.networks()).extracting("key").containsExactly("transformer", "vae");
      model.requirePrompt("19");
      refused(() -> model.requirePrompt("20"), "expected 0 to 19");
      assertThat(found.notes())
          .singleElement()
          .asString()
          .contains("4 heads, 20 classes", "own-" + TRANSFORMER, "own-" + TOKENIZER);
    }
  }

  @Test
  void ofSeveralTransformersOneIsNamed() throws IOException {
    copy(TRANSFORMER, SHARED, TOKENIZER);
    refused(() -> ModelSource.locate(folder.toString()), "more than one VAR transformer", SHARED);
    Path shared = folder.resolve("own-" + SHARED);
    try (ModelDescription model = ModelSource.find(shared.toString())) {
      assertThat(model.kvShape(DType.F32, model.grids()).heads()).isEqualTo(2);
    }
  }

  @Test
  void partsThatMakeNoModelAreRefused() throws IOException {
    copy(TRANSFORMER);
    refused(() -> ModelSource.locate(folder.toString()), "found no image tokenizer (VQVAE)");
    // A tokenizer of half the codebook.
    try (Checkpoint source =
        Checkpoints.open(TestDevice.resource("/golden-var/var-a").resolve(TOKENIZER))) {
      SafetensorsWriter.write(
          folder.resolve("half.safetensors"),
          source.names().stream()
              .map(source::entry)
              .map(entry -> {
                long[] shape = entry.shape();
                if (entry.name().equals("quantize.embedding.weight")) {
                  shape[0] /= 2;
                }
                long bytes = entry.dtype().bytesOf(shape);
                return new Item(
                    entry.name(), entry.dtype(), shape, () -> entry.bytes().asSlice(0, bytes));
              })
              .toList(),
          Map.of());
    }
    refused(
        () -> ModelSource.locate(folder.toString()),
        "half.safetensors: has a codebook of 32 entries of 8 channels",
        "draws from 64 of 8; they belong to different models");
    Files.copy(
        TestDevice.resource("/golden-extra").resolve("infinity.safetensors"),
        folder.resolve("infinity.safetensors"));
    refused(
        () -> ModelSource.locate(folder.toString()),
        "holds models of several families",
        "VAR transformer own-" + TRANSFORMER,
        "Infinity transformer infinity.safetensors");
  }

  private byte[] drawn(ModelSizes model) {
    try (NextScaleModel loaded = model.load(backend, TestDevice.device(), DType.F32);
        Generation generation =
            Generation.open(
                loaded,
                new GenerationRequest(
                    List.of(new PictureRequest(model.example(), 4, model.sampling())),
                    model.grids(),
                    CachePolicy.FULL))) {
      return generation.finish().images().getFirst().pixels().rgb();
    }
  }

  @Test
  void convertsWithoutLoss() throws IOException {
    copy(TRANSFORMER, TOKENIZER);
    Path target = folder.resolve("converted");
    try (ModelDescription model = ModelSource.find(folder.toString())) {
      model.convert(target, StorageType.F32, (name, done, total) -> {});
      try (ModelDescription converted = ModelSource.find(target.toString())) {
        assertThat(converted.grids()).isEqualTo(model.grids());
        assertThat(drawn(converted)).isEqualTo(drawn(model));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "var-d16, 16, 424, 28",
    "var-d24, 24, 424, 63",
    "var-d30, 30, 424, 98",
    "var-d36, 36, 1216, 403"
  })
  void randomModelsHaveThePublishedSizes(String size, int layers, int cached, int megabytes) {
    ModelSizes model = ModelFamilies.ofSize(size).random(size);
    KvShape row = model.kvShape(1, 1, DType.BF16, model.grids());
    assertThat(row.layers()).isEqualTo(layers);
    assertThat(row.grids().cachedTokens()).isEqualTo(cached);
    assertThat(row.fullBytes() / 1e6).isBetween(megabytes - 0.7, megabytes + 0.7);
    assertThat(model.computeType(Device.parse("cuda"))).isEqualTo(DType.F16);
    long weights = model.transformerNeed(row, CachePolicy.FULL, Device.parse("cuda")).weights();
    // 12 or 18 width^2 parameters a layer, tokenizer and embeddings besides.
    double products = (size.equals("var-d36") ? 12 : 18) * Math.pow(64.0 * layers, 2) * layers;
    assertThat(weights / 2.0).isBetween(products, products * 1.1 + 1.2e8);
  }

  @Test
  void aTinyRandomModelDraws() {
    long live = backend.liveTensors();
    ModelSizes tiny = new VarFamily().random("var-d16").tiny();
    try (NextScaleModel model = tiny.load(backend, TestDevice.device(), DType.F32)) {
      GenerationRequest request =
          new GenerationRequest(
              List.of(new PictureRequest(tiny.example(), 1, tiny.sampling())),
              tiny.grids(),
              CachePolicy.FULL);
      try (Generation generation = Generation.open(model, request)) {
        while (!generation.isDone()) {
          generation.step();
        }
        assertThat(generation.canvas().toFloats()).hasSize(32 * 24 * 24);
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  @Test
  void textIsNoPartOfIt() {
    refused(
        () ->
            new VarFamily()
                .synthesize(
                    new Synthesis("var-d16", StorageType.BF16, 0, true, true),
                    folder,
                    (name, done, total) -> {}),
        "reads no text");
  }
}
