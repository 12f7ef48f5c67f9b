package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.load.Finding;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.infinity.vae.VaeKeys;
import io.heatkv.load.HubCache;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Models of the published sizes, told by files that are all hole: no disk and no memory. */
class PublishedShapesTest {
  private static final double GIB = 1L << 30;
  private static final String TRANSFORMER = "transformer.safetensors";

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(PublishedModel.class)
  void sizesAndDefaultsComeFromShapes(PublishedModel like) throws IOException {
    lay(like, name -> true);
    if (like == PublishedModel.INFINITY_8B_512) {
      // Its shapes are the 8B's; the folder's name is the published one.
      Path weights = Files.createDirectory(folder.resolve("infinity_8b_512x512_weights"));
      Files.move(folder.resolve(TRANSFORMER), weights.resolve(TRANSFORMER));
    }
    Finding.Found found = Finding.find(List.of(folder), new HubCache(folder.resolve("none")));
    InfinityDescription model = found.description();
    assertThat(model.grids().last().height()).isEqualTo(lastGrid(like));
    assertThat(model.transformer()).isEqualTo(like.transformer());
    assertThat(model.name()).isEqualTo(like.toString());
    assertThat(model.codeChannels()).isEqualTo(like.transformer().spatialPatchify() ? 14 : 32);
    assertThat(model.cfg()).isEqualTo(like == PublishedModel.INFINITY_2B ? 4 : 3);
    assertThat(model.tau()).isEqualTo(like == PublishedModel.INFINITY_2B ? 0.5 : 1);
    assertThat(PublishedModel.computeType(model.transformer(), Device.CPU)).isEqualTo(DType.BF16);
    assertThat(found.notes()).hasSize(1);
  }

  /** A square of 1024, 512 or 256 pixels in tokens of 16, as they were published. */
  private static int lastGrid(PublishedModel like) {
    return switch (like) {
      case INFINITY_8B_512 -> 32;
      case LAYER12, LAYER16, LAYER24 -> 16;
      default -> 64;
    };
  }

  @Test
  void otherSizesComputeInFloat32OnTheCpu() {
    TransformerConfig emoji = TestDevice.model().transformer();
    assertThat(PublishedModel.computeType(emoji, Device.CPU)).isEqualTo(DType.F32);
    assertThat(PublishedModel.computeType(emoji, Device.parse("cuda"))).isEqualTo(DType.BF16);
  }

  @Test
  void headsWithoutAScaleAreThoseRegistered() throws IOException {
    for (PublishedModel like : PublishedModel.values()) {
      lay(like, name -> !name.endsWith("scale_mul_1H11"));
      TransformerConfig config =
          Finding.find(List.of(folder), new HubCache(folder.resolve("none")))
              .description()
              .transformer();
      assertThat(config.cosineAttention()).isFalse();
      assertThat(config.heads()).as(like.toString()).isEqualTo(like.heads());
    }
  }

  /** 8.38 billion parameters: 16.0 GB of blocks in bfloat16, mapped. */
  @Test
  void saysWhatMemoryTheLargeModelNeeds() throws IOException {
    lay(PublishedModel.INFINITY_8B, name -> true);
    InfinityDescription model =
        Finding.find(List.of(folder), new HubCache(folder.resolve("none"))).description();
    MemoryEstimate small = estimate(model, DType.BF16, Resolution.P006);
    assertThat(small.mapped() / GIB).isBetween(20.0, 22.0);
    assertThat(small.total() / GIB).isLessThan(2);
    assertThat(small.isLarge()).isTrue();
    assertThat(small.toString()).contains("mapped from files, which need not fit");
    MemoryEstimate full = estimate(model, DType.BF16, Resolution.P1);
    // 40 layers, 2 rows, keys and values of 3,584 channels, 6,425 tokens, 2 bytes.
    assertThat(full.cache()).isEqualTo(40L * 2 * 2 * 3584 * 6425 * 2);
    // Blocks converted to float32 can't be mapped.
    MemoryEstimate wide = estimate(model, DType.F32, Resolution.P006);
    assertThat(wide.weights() / GIB).isBetween(29.0, 32.0);
    assertThatThrownBy(() -> wide.requireAtMost(24L << 30))
        .isInstanceOf(UserException.class)
        .hasMessageMatching("not enough memory: about 3\\d\\.\\d\\d GiB .*24\\.00 GiB are free.*");
    small.requireAtMost(8L << 30);
  }

  private static MemoryEstimate estimate(
      InfinityDescription model, DType dtype, Resolution resolution) {
    return model.estimate(
        model.kvShape(dtype, ScaleTemplate.nearest(1).grids(resolution)), CachePolicy.FULL);
  }

  private void lay(PublishedModel like, Predicate<String> wanted) throws IOException {
    TransformerConfig config = like.transformer();
    Map<String, long[]> shapes =
        new TreeMap<>(TransformerKeys.shapes(config, TransformerKeys.poolHeads(config)));
    shapes.keySet().removeIf(wanted.negate());
    hole(TRANSFORMER, shapes, TransformerKeys::isOfBlocks);
    hole(
        "vae.safetensors",
        VaeKeys.shapes(VaeConfig.published(like.codeChannels(), config.spatialPatchify())),
        name -> false);
    Files.createDirectories(folder.resolve("text"));
    hole("text/model.safetensors", T5Encoder.shapes(T5Config.FLAN_T5_XL), name -> false);
    Files.writeString(
        folder.resolve("text/config.json"),
        """
        {"feed_forward_proj": "gated-gelu", "vocab_size": 32128, "d_model": 2048, "d_kv": 64,
         "d_ff": 5120, "num_layers": 24, "num_heads": 32}
        """);
  }

  /** A safetensors file of zeros that were never written. */
  private void hole(String name, Map<String, long[]> shapes, Predicate<String> half)
      throws IOException {
    StringBuilder header = new StringBuilder("{");
    long at = 0;
    for (Map.Entry<String, long[]> tensor : shapes.entrySet()) {
      boolean brain = half.test(tensor.getKey());
      long bytes = Arrays.stream(tensor.getValue()).reduce(brain ? 2 : 4, Math::multiplyExact);
      header
          .append(header.length() == 1 ? "" : ",")
          .append(
              "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                  .formatted(
                      tensor.getKey(),
                      brain ? "BF16" : "F32",
                      Arrays.toString(tensor.getValue()),
                      at,
                      at + bytes));
      at += bytes;
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    Path file = folder.resolve(name);
    Files.deleteIfExists(file);
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).array());
      out.write(json);
      out.setLength(8 + json.length + at);
    }
  }
}
