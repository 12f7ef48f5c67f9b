package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.Folders;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.json.JsonObject;
import io.heatkv.load.ModelSource;
import io.heatkv.load.Synthesis;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SyntheticModelTest {
  @TempDir Path folder;

  @Test
  void hasAPublishedModelsShapesAndSaysThatItIsRandom() throws IOException {
    PublishedModel like = PublishedModel.parse("infinity-125m");
    Synthesis choice = new Synthesis("infinity-125m", StorageType.BF16, 9, false, false);
    List<Long> totals = new ArrayList<>();
    SyntheticModel.write(choice, folder, (name, done, total) -> totals.add(total));
    assertThat(totals).isNotEmpty();
    try (Checkpoint transformer = Checkpoints.open(folder.resolve("transformer"))) {
      assertThat(TransformerConfigs.infer(transformer, false)).isEqualTo(like.transformer());
      KeyCheck.compare(transformer, TransformerKeys.shapes(like.transformer(), 16)).requireExact();
      assertThat(transformer.entry("block_chunks.3.module.2.ffn.fc1.weight").dtype())
          .isEqualTo(StorageType.BF16);
      assertThat(transformer.entry("word_embed.weight").dtype()).isEqualTo(StorageType.F32);
      assertThat(transformer.metadata().get(SyntheticCheckpoint.NOTE))
          .isEqualTo("random weights, not trained; seed 9");
    }
    JsonObject json = JsonObject.read(folder.resolve("model.json"));
    assertThat(json.text("name")).isEqualTo("infinity-125m (random weights)");
    assertThat(json.text("weights")).startsWith("random weights");
    assertThat(json.has("vae")).isFalse();
    // What it leaves out is looked for among the folder's files.
    assertThatThrownBy(() -> ModelSource.find(folder.toString()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("found no image tokenizer");
    assertThat(Folders.checkedSums(folder.resolve("transformer"))).hasSize(3);
    totals.clear();
    SyntheticModel.write(choice, folder, (name, done, total) -> totals.add(done));
    assertThat(totals).as("one shard, kept whole").hasSize(1);
  }
}
