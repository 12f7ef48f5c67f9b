package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.infinity.load.Finding;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.infinity.load.InfinityNetworks;
import io.heatkv.load.HubCache;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One tensor of another shape, in each of the networks: refused before anything is computed. */
class WrongShapesTest {
  private static final Path FILES = TestDevice.resource("/golden-published");

  private final Backend backend = TestDevice.backend();

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "TRANSFORMER, block_chunks.1.module.0.ffn.fc2.weight, '[32, 256]'",
    "TRANSFORMER, lvl_embed.weight, '[15, 32]'",
    "TRANSFORMER, head.weight, '[32, 32]'",
    "IMAGE_TOKENIZER, decoder.up.2.block.1.conv2.conv.weight, '[24, 24, 3, 3]'",
    "IMAGE_TOKENIZER, decoder.norm_out.norm.bias, [24]",
    "TEXT_ENCODER, encoder.block.1.layer.0.SelfAttention.o.weight, '[128, 32]'",
    "TEXT_ENCODER, shared.weight, '[192, 128]'"
  })
  void isNamedWithBothShapes(String kind, String name, String shape) throws IOException {
    long live = backend.liveTensors();
    Path transformer = FILES.resolve("tiny_2b_weights");
    Path vae = FILES.resolve("tiny_2b.vae.pth");
    Path text = FILES.resolve("flan-t5");
    InfinityDescription model =
        switch (kind) {
          case "TRANSFORMER" ->
              find(
                  rewritten(InfinityNetworks.TRANSFORMER, FILES.resolve("tiny_2b.pth"), name),
                  vae,
                  text);
          case "IMAGE_TOKENIZER" ->
              find(transformer, rewritten(InfinityNetworks.IMAGE_TOKENIZER, vae, name), text);
          default -> {
            Path other = rewritten(InfinityNetworks.TEXT_ENCODER, text, name);
            for (String file : List.of("config.json", "spiece.model")) {
              Files.copy(text.resolve(file), folder.resolve(file));
            }
            yield find(transformer, vae, other.getParent());
          }
        };
    assertThatThrownBy(
            () -> new ImageGenerator(model, backend, TestDevice.device(), DType.F32).close())
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(folder.resolve("other.safetensors") + ": ")
        .hasMessageContaining("'" + name + "' [3, 5] instead of " + shape)
        .hasMessageNotContaining("\n");
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static InfinityDescription find(Path... sources) {
    return Finding.find(List.of(sources), new HubCache(Path.of("none"))).description();
  }

  private Path rewritten(Network network, Path source, String name) {
    Path file = folder.resolve("other.safetensors");
    try (ModelFiles files = ModelFiles.in(FILES)) {
      Checkpoint checkpoint = files.open(network, source);
      List<Item> items = new ArrayList<>();
      for (String each : checkpoint.names()) {
        items.add(
            each.equals(name)
                ? new Item(
                    name,
                    StorageType.F32,
                    new long[] {3, 5},
                    () -> MemorySegment.ofArray(new byte[60]))
                : Item.of(checkpoint.entry(each)));
      }
      SafetensorsWriter.write(file, items, Map.of());
    }
    return file;
  }
}
