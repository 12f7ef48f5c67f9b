package io.heatkv.eval.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.eval.run.EvaluationFolder.Existing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationFolderTest {
  private static final EvaluationSettings SETTINGS =
      new EvaluationSettings(Map.of("heatkv", "1", "seeds", "2", "budgets", "0.1,0.2"));

  @TempDir Path parent;

  private EvaluationFolder folder() {
    return new EvaluationFolder(parent.resolve("report"));
  }

  private static BatchResult result() {
    CellResult cell =
        new CellResult(
            "heatkv",
            "0.1",
            new KvMemory(12, new KvParts(5, 6, 7), 3, 4),
            1.5,
            Map.of("psnr", List.of(20.25, 0.1)),
            Map.of("fid", List.of(new float[] {1.5f, -2}, new float[] {0.1f, Float.MIN_VALUE})),
            List.of(List.of(0.5, 1.0), List.of(1.0 / 3, 0.25)),
            List.of());
    return new BatchResult(2, 2, true, 1, cell, List.of(cell));
  }

  @Test
  void keepsEveryDigitOfABatch() {
    folder().open(SETTINGS, 3, Existing.REFUSE);
    result().write(folder().batch(1));
    assertThat(folder().done(3)).containsExactly(1);
    BatchResult read = folder().results(3).getFirst();
    assertThat(read)
        .usingRecursiveComparison()
        .withStrictTypeChecking()
        .ignoringCollectionOrder()
        .isEqualTo(result());
  }

  @Test
  void refusesAnEvaluationUnlessItIsToGoOn() {
    folder().open(SETTINGS, 3, Existing.REFUSE);
    result().write(folder().batch(0));
    assertThatThrownBy(() -> folder().open(SETTINGS, 3, Existing.REFUSE))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("1 of 3 batches done; go on with it, or begin anew")
        .extracting(e -> ((UserException) e).remedy())
        .isEqualTo(Optional.of(Remedy.CONTINUATION));
    folder().open(SETTINGS, 3, Existing.RESUME);
    assertThat(folder().done(3)).containsExactly(0);
  }

  /** Two processes begin at once: one has made the folders and not yet written the settings. */
  @Test
  void joinsAFolderThatIsBeingBegun() throws IOException {
    Files.createDirectories(folder().file("batches"));
    Files.createDirectories(folder().file("images"));
    Files.createFile(folder().file(".heatkv-1.tmp"));
    folder().open(SETTINGS, 3, Existing.RESUME);
    assertThat(folder().file("settings.json")).isRegularFile();
  }

  /** Shards that begin together: none may take the settings of another for a stranger's file. */
  @Test
  void manyBeginAFolderAtOnce() throws Exception {
    try (ExecutorService shards = Executors.newFixedThreadPool(4)) {
      for (int round = 0; round < 300; round++) {
        EvaluationFolder folder = new EvaluationFolder(parent.resolve("report" + round));
        CyclicBarrier start = new CyclicBarrier(4);
        Callable<Void> shard =
            () -> {
              start.await();
              folder.open(SETTINGS, 3, Existing.RESUME);
              return null;
            };
        for (Future<Void> done : shards.invokeAll(Collections.nCopies(4, shard))) {
          done.get();
        }
      }
    }
  }

  @Test
  void refusesOtherSettingsAndNamesTheFirstDifference() {
    folder().open(SETTINGS, 3, Existing.REFUSE);
    EvaluationSettings others =
        new EvaluationSettings(Map.of("heatkv", "1", "seeds", "2", "budgets", "0.3", "tau", "1"));
    assertThatThrownBy(() -> folder().open(others, 3, Existing.RESUME))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("budgets 0.1,0.2, not 0.3")
        .hasMessageContaining("or replace it");
  }

  @Test
  void longSettingsAreCutInMessages() {
    String forty = "x".repeat(40);
    EvaluationSettings own = new EvaluationSettings(Map.of("budgets", forty));
    assertThat(own.difference(own)).isEmpty();
    assertThat(own.difference(new EvaluationSettings(Map.of("budgets", forty + "x"))))
        .contains("budgets " + forty + ", not " + forty + "…");
    assertThat(own.difference(new EvaluationSettings(Map.of("budgets", forty, "tau", "1"))))
        .contains("tau none, not 1");
  }

  /** Prompts are counted from 1; a name is one on every system. */
  @Test
  void filesHaveNamesOfTheirOwn() {
    Path root = parent.resolve("report");
    assertThat(folder().batch(12)).isEqualTo(root.resolve("batches/batch-00012.json"));
    assertThat(folder().image(0, 7, "full", ""))
        .isEqualTo(root.resolve("images/00001-seed7-full.png"));
    assertThat(folder().image(99, 12, "heatkv", "10%"))
        .isEqualTo(root.resolve("images/00100-seed12-heatkv-10pct.png"));
    assertThat(folder().image(1, 0, "a b/c", "2 MiB"))
        .isEqualTo(root.resolve("images/00002-seed0-a_b_c-2_MiB.png"));
  }

  @Test
  void overwritesItsOwnFilesOnly() throws IOException {
    folder().open(SETTINGS, 3, Existing.REFUSE);
    result().write(folder().batch(0));
    Files.writeString(folder().file("notes.txt"), "mine");
    Files.writeString(folder().file("images/me.png"), "mine");
    Path picture = Files.writeString(folder().image(0, 1, "heatkv", "10%"), "old");
    Files.writeString(folder().file("summary.csv"), "old");
    EvaluationSettings others = new EvaluationSettings(Map.of("heatkv", "1", "seeds", "3"));
    folder().open(others, 3, Existing.OVERWRITE);
    assertThat(folder().done(3)).isEmpty();
    assertThat(folder().file("notes.txt")).hasContent("mine");
    assertThat(folder().file("images/me.png")).hasContent("mine");
    assertThat(picture).doesNotExist();
    assertThat(folder().file("summary.csv")).doesNotExist();
    folder().open(others, 3, Existing.RESUME);
  }

  @Test
  void takesNoFolderOfSomethingElse() throws IOException {
    Files.createDirectories(folder().root());
    Files.writeString(folder().file("thesis.txt"), "mine");
    for (Existing existing : Existing.values()) {
      assertThatThrownBy(() -> folder().open(SETTINGS, 3, existing))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("holds other files and no evaluation");
    }
    // Another program's settings don't make it an evaluation.
    Files.writeString(folder().file("settings.json"), "{\"theme\": \"dark\"}");
    Files.writeString(folder().file("index.html"), "mine");
    for (Existing existing : Existing.values()) {
      assertThatThrownBy(() -> folder().open(SETTINGS, 3, existing))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("holds other files and no evaluation");
    }
    assertThat(folder().file("index.html")).hasContent("mine");
    EvaluationFolder file = new EvaluationFolder(folder().file("thesis.txt"));
    assertThatThrownBy(() -> file.open(SETTINGS, 3, Existing.REFUSE))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("is a file");
    EvaluationFolder deep = new EvaluationFolder(parent.resolve("a/b"));
    assertThatThrownBy(() -> deep.open(SETTINGS, 3, Existing.REFUSE))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("create it first");
  }

  @Test
  void saysWhichBatchIsDamaged() throws IOException {
    folder().open(SETTINGS, 1, Existing.REFUSE);
    Files.writeString(
        folder().batch(0),
        "{\"first\":0,\"count\":1,\"processes\":1,\"full\":{\"policy\":\"full\",\"budget\":\"\","
            + "\"kv_bytes\":1,\"kv_number_bytes\":1,\"kv_loss_bytes\":0,\"kv_table_bytes\":1,"
            + "\"kv_current_scale_bytes\":1,\"kv_workspace_bytes\":1,\"ms\":1,"
            + "\"values\":{\"psnr\":[\"x\"]},\"features\":{},\"equal_bits_by_scale\":[],"
            + "\"kl_by_scale\":[]},\"cells\":[]}");
    assertThatThrownBy(() -> folder().results(1))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("batch-00000.json")
        .hasMessageContaining("remove it");
  }
}
