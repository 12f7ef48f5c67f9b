package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.SafetensorsWriter;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.load.HubCache;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelFinderTest {
  private static final Path FILES = TestDevice.resource("/golden-published");

  @TempDir Path folder;
  @TempDir Path caches;

  @Test
  void recognisesFilesOfAnyNameAtAnyDepth() throws IOException {
    copy("tiny_2b.pth", "weights/deep/er/a.data");
    copy("tiny_2b.vae.pth", "b");
    copyFolder("flan-t5", "weights/text");
    Files.writeString(folder.resolve("README.md"), "PK");
    Files.write(
        folder.resolve("photo.zip"),
        new byte[] {'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    Finding.Found found = find();
    InfinityDescription model = found.description();
    assertThat(model.transformerFile()).isEqualTo(folder.resolve("weights/deep/er/a.data"));
    assertThat(model.vaeFile()).isEqualTo(folder.resolve("b"));
    assertThat(model.textEncoder()).isEqualTo(folder.resolve("weights/text"));
    assertThat(model.transformer().rotary()).isEqualTo(RotaryNormalization.ROUNDED);
    assertThat(model.transformer().levelEmbeddingOnce()).isTrue();
    assertThat(model.grids()).isEqualTo(ScaleTemplate.nearest(1).grids(Resolution.P1));
    assertThat(model.topP()).isEqualTo(0.97);
    assertThat(found.notes()).hasSize(2);
    assertThat(found.notes().getFirst())
        .contains("depth 2, width 32, 2 heads, 16 bits a token (no patches)")
        .contains(
            "transformer weights/deep/er/a.data, image tokenizer b, text encoder weights/text");
    assertThat(found.notes().getLast()).startsWith("left aside: ").contains("photo.zip");
  }

  /** Files of other kinds aren't opened, or they would be called damaged. */
  @ParameterizedTest
  @CsvSource({
    // Pickles of protocols that torch.save has never written, and too short a start of one.
    "8001000000000000000000000000000000, false",
    "8006000000000000000000000000000000, false",
    "8101000000000000000000000000000000, false",
    "80025d5d5d5d5d5d5d5d5d5d5d5d5d, false",
    "8002000000000000000000000000000000, true",
    "8005000000000000000000000000000000, true",
    // Lengths of a safetensors header: none, most, too long; another start.
    "00000000000000007b0000000000000000, false",
    "00e1f505000000007b0000000000000000, true",
    "01e1f505000000007b0000000000000000, false",
    "02000000000000005b7d00000000000000, false",
    "504b030400000000000000000000000000, true",
    "504b030500000000000000000000000000, false",
    "504c030400000000000000000000000000, false"
  })
  void opensWhatBeginsLikeWeights(String start, boolean opened) throws IOException {
    copy("tiny_2b.pth", "a");
    copy("tiny_2b.vae.pth", "b");
    copyFolder("flan-t5", "text");
    Files.write(folder.resolve("other"), HexFormat.of().parseHex(start));
    assertThat(find().notes()).hasSize(opened ? 2 : 1);
    assertThat(find().notes().getLast().contains("left aside: ")).isEqualTo(opened);
  }

  @Test
  void recognisesTheOlderFormatByItsContent() throws IOException {
    copy("tiny_2b.legacy.pth", "older");
    copy("tiny_2b.vae.pth", "b");
    copyFolder("flan-t5", "text");
    assertThat(find().description().transformerFile()).isEqualTo(folder.resolve("older"));
  }

  /** HuggingFace's folders often hold the same weights in both formats. */
  @Test
  void ofBothFormatsOfATextEncoderTheSaferIsTaken() throws IOException {
    copy("tiny_2b.pth", "a");
    copy("tiny_2b.vae.pth", "b");
    Path text = copyFolder("flan-t5-bin", "text");
    copyFolder("flan-t5", "text");
    assertThat(find().description().textWeights())
        .isEqualTo(text.resolve("model.safetensors.index.json"));
    copyFolder("flan-t5", "other");
    assertRefused("more than one T5 text encoder", "other/", "text/");
  }

  @Test
  void aHubThatIsMissingOrHoldsOtherFoldersHasNoTextEncoder() throws IOException {
    copy("tiny_2b.pth", "a");
    copy("tiny_2b.vae.pth", "b");
    Path none = caches.resolve("none");
    assertThatThrownBy(() -> Finding.find(List.of(folder), new HubCache(none)))
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll("found no T5 text encoder", none.toString());
    Files.createDirectories(caches.resolve("models--a--b"));
    Files.createDirectories(caches.resolve("models--c--d/refs"));
    hub("datasets--e--f", "1111", "main", 128);
    assertRefused("found no T5 text encoder");
    Files.createDirectories(caches.resolve("models--g--h/snapshots"));
    Files.createDirectories(caches.resolve("models--g--h/blobs"));
    assertRefused("found no T5 text encoder");
  }

  @Test
  void takesTheTextEncoderFromTheHubsCache() throws IOException {
    copyFolder("tiny_8b_weights", "shards");
    copy("tiny_8b.vae.pth", "vae.pth");
    hub("models--someone--other", "1111", "main", 64);
    hub("models--google--flan-t5-xl", "2222", "main", 128);
    hub("models--a--t5", "3333", "main", 128);
    InfinityDescription model = find().description();
    assertThat(model.textEncoder())
        .isEqualTo(caches.resolve("models--google--flan-t5-xl/snapshots/2222"));
    assertThat(model.transformer().spatialPatchify()).isTrue();
    assertThat(model.codeChannels()).isEqualTo(14);
  }

  @Test
  void looksForTheHubWhereHuggingFaceDoes() {
    Path home = Path.of("home");
    assertThat(HubCache.of(Map.of(), home).folder())
        .isEqualTo(home.resolve(".cache/huggingface/hub"));
    assertThat(HubCache.of(Map.of("HF_HOME", "h", "XDG_CACHE_HOME", "x"), home).folder())
        .isEqualTo(Path.of("h/hub"));
    assertThat(HubCache.of(Map.of("HF_HOME", "h", "HF_HUB_CACHE", "~/c"), home).folder())
        .isEqualTo(home.resolve("c"));
    assertThat(HubCache.of(Map.of("XDG_CACHE_HOME", "x", "HF_HOME", " "), home).folder())
        .isEqualTo(Path.of("x/huggingface/hub"));
  }

  @Test
  void readsAWholeRepositoryOfTheHub() throws IOException {
    Path repository = folder.resolve("models--x--y");
    Path blobs = Files.createDirectories(repository.resolve("blobs"));
    Path snapshot = Files.createDirectories(repository.resolve("snapshots/abc"));
    for (String name : List.of("tiny_2b.pth", "tiny_2b.vae.pth")) {
      Files.copy(FILES.resolve(name), blobs.resolve(name + "0"));
      Files.createSymbolicLink(snapshot.resolve(name), Path.of("../../blobs", name + "0"));
    }
    hub("models--google--flan-t5-xl", "2222", "elsewhere", 128);
    assertThat(find().description().transformerFile()).isEqualTo(snapshot.resolve("tiny_2b.pth"));
  }

  @Test
  void aNamedFileDecidesAmongSeveral() throws IOException {
    copy("tiny_2b.pth", "infinity_2b_reg.pth");
    copyFolder("tiny_8b_weights", "infinity_8b_weights");
    copy("tiny_2b.vae.pth", "infinity_vae_d16.pth");
    copy("tiny_2b.vae.pth", "infinity_vae_d16_reg.pth");
    copy("tiny_8b.vae.pth", "infinity_vae_d56_f8_14_patchify.pth");
    copyFolder("flan-t5", "flan-t5-xl");
    assertRefused(
        "more than one Infinity transformer", "infinity_2b_reg.pth", "infinity_8b_weights");
    InfinityDescription small =
        Finding.beside(folder.resolve("infinity_2b_reg.pth"), new HubCache(caches)).description();
    assertThat(small.vaeFile()).isEqualTo(folder.resolve("infinity_vae_d16_reg.pth"));
    InfinityDescription large =
        Finding.beside(
                folder.resolve("infinity_8b_weights/pytorch_model.bin.index.json"),
                new HubCache(caches))
            .description();
    assertThat(large.vaeFile()).isEqualTo(folder.resolve("infinity_vae_d56_f8_14_patchify.pth"));
    assertThatThrownBy(
            () -> Finding.beside(folder.resolve("infinity_vae_d16.pth"), new HubCache(caches)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("holds no Infinity transformer");
  }

  @ParameterizedTest
  @CsvSource({
    "infinity_2b_reg.pth, infinity_vae_d16_reg.pth",
    "infinity_2b.pth, infinity_vae_d16.pth",
    "infinity_2b.pth, vae.pth"
  })
  void theTokenizerIsRegularisedWhereTheTransformerIs(String transformer, String tokenizer)
      throws IOException {
    copy("tiny_2b.pth", transformer);
    copy("tiny_2b.vae.pth", tokenizer);
    copy(
        "tiny_2b.vae.pth",
        tokenizer.contains("reg") ? tokenizer.replace("_reg", "") : tokenizer + "_reg");
    copyFolder("flan-t5", "text");
    assertThat(find().description().vaeFile()).isEqualTo(folder.resolve(tokenizer));
  }

  @Test
  void tokenizersThatNothingTellsApart() throws IOException {
    copy("tiny_2b.pth", "infinity_2b.pth");
    copyFolder("flan-t5", "text");
    copy("tiny_2b.vae.pth", "infinity_vae_d16_reg.pth");
    // The only one serves, whatever its name.
    assertThat(find().description().vaeFile())
        .isEqualTo(folder.resolve("infinity_vae_d16_reg.pth"));
    copy("tiny_2b.vae.pth", "other_reg.pth");
    assertRefused("more than one image tokenizer", "infinity_vae_d16_reg.pth", "other_reg.pth");
  }

  /** Newest by date, whichever name or order of writing; a ref that names one decides. */
  @Test
  void takesTheNewestSnapshotWhereNoRefNamesOne() throws IOException {
    copy("tiny_2b.pth", "a.pth");
    copy("tiny_2b.vae.pth", "b.pth");
    for (String commit : List.of("aaaa", "bbbb", "cccc")) {
      hub("models--google--flan-t5-xl", commit, "elsewhere", 128);
    }
    Path repository = caches.resolve("models--google--flan-t5-xl");
    Path snapshots = repository.resolve("snapshots");
    for (String newest : List.of("bbbb", "aaaa", "cccc")) {
      for (String commit : List.of("aaaa", "bbbb", "cccc")) {
        Files.setLastModifiedTime(
            snapshots.resolve(commit), FileTime.fromMillis(commit.equals(newest) ? 2000 : 1000));
      }
      assertThat(find().description().textEncoder()).isEqualTo(snapshots.resolve(newest));
    }
    for (String ref : List.of("aaaa", "bbbb\n")) {
      Files.writeString(repository.resolve("refs/main"), ref);
      assertThat(find().description().textEncoder()).isEqualTo(snapshots.resolve(ref.strip()));
    }
  }

  /**
   * What lies beside a checkpoint as Infinity's trainer saves it, its own tokenizer inside, and
   * which tokenizer is meant when the checkpoint is named.
   */
  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "alone, '', new.safetensors",
    "a published tokenizer, infinity_vae_d16.pth, new.safetensors",
    "two of them, infinity_vae_d16.pth infinity_vae_d16_reg.pth, new.safetensors",
    "an earlier checkpoint, old.safetensors, new.safetensors",
    "both, old.safetensors infinity_vae_d16.pth, new.safetensors",
    "a published model, tiny_2b.pth infinity_vae_d16.pth, new.safetensors"
  })
  void aNamedTrainingCheckpointIsChosenWhole(String label, String beside, String tokenizer)
      throws IOException {
    training("new.safetensors");
    for (String name : beside.isEmpty() ? new String[0] : beside.split(" ")) {
      if (name.equals("old.safetensors")) {
        training(name);
      } else {
        copy(name.equals("tiny_2b.pth") ? name : "tiny_2b.vae.pth", name);
      }
    }
    copyFolder("flan-t5", "flan-t5-xl");
    Path file = folder.resolve("new.safetensors");
    InfinityDescription alone = Finding.beside(file, new HubCache(caches)).description();
    InfinityDescription named =
        Finding.find(List.of(file, folder), new HubCache(caches)).description();
    for (InfinityDescription model : List.of(alone, named)) {
      assertThat(model.transformerFile()).as(label).isEqualTo(file);
      assertThat(model.vaeFile()).as(label).isEqualTo(folder.resolve(tokenizer));
    }
  }

  @Test
  void aTokenizerNamedBesideATrainingCheckpointIsChosen() throws IOException {
    training("new.safetensors");
    copy("tiny_2b.vae.pth", "infinity_vae_d16.pth");
    Path text = copyFolder("flan-t5", "flan-t5-xl");
    Path vae = folder.resolve("infinity_vae_d16.pth");
    List<Path> sources = List.of(folder.resolve("new.safetensors"), vae, text);
    assertThat(Finding.find(sources, new HubCache(caches)).description().vaeFile()).isEqualTo(vae);
  }

  @Test
  void twoNamedTransformersAreOneTooMany() throws IOException {
    training("new.safetensors");
    training("old.safetensors");
    Path text = copyFolder("flan-t5", "flan-t5-xl");
    List<Path> sources =
        List.of(folder.resolve("new.safetensors"), folder.resolve("old.safetensors"), text);
    assertThatThrownBy(() -> Finding.find(sources, new HubCache(caches)))
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll("more than one Infinity transformer", "new", "old");
  }

  private void training(String name) {
    try (Checkpoint transformer = Checkpoints.open(FILES.resolve("tiny_2b.pth"));
        Checkpoint vae = Checkpoints.open(FILES.resolve("tiny_2b.vae.pth"))) {
      List<Item> items = new ArrayList<>();
      add(items, "gpt_fsdp.", transformer);
      add(items, "vae_local.", vae);
      SafetensorsWriter.write(folder.resolve(name), items, Map.of());
    }
  }

  private static void add(List<Item> items, String prefix, Checkpoint source) {
    for (String name : source.names()) {
      TensorEntry entry = source.entry(name);
      items.add(new Item(prefix + name, entry.dtype(), entry.shape(), entry::bytes));
    }
  }

  /** What the download of the snapshot that refs/main names left out. */
  @ParameterizedTest
  @ValueSource(strings = {"content", "weights", "shard", "tokenizer", "everything", "no folder"})
  void passesOverAnIncompleteSnapshotOfTheHub(String lack) throws IOException {
    copy("tiny_2b.pth", "a.pth");
    copy("tiny_2b.vae.pth", "b.pth");
    hub("models--google--flan-t5-xl", "1111", "other", 128);
    hub("models--google--flan-t5-xl", "2222", "main", 128);
    Path snapshots = caches.resolve("models--google--flan-t5-xl/snapshots");
    Path main = snapshots.resolve("2222");
    try (Stream<Path> all = Files.list(main)) {
      for (Path file : all.toList()) {
        String name = file.getFileName().toString();
        boolean weights = name.matches(".*(safetensors|bin|index\\.json)");
        boolean gone =
            switch (lack) {
              case "content", "shard", "weights" -> weights;
              case "tokenizer" -> name.matches("tokenizer\\.json|spiece\\.model");
              default -> true;
            };
        if (gone) {
          Files.delete(file);
        }
      }
    }
    switch (lack) {
      case "content" ->
          Files.createSymbolicLink(main.resolve("model.safetensors"), Path.of("../../blobs/none"));
      case "shard" ->
          Files.writeString(
              main.resolve("model.safetensors.index.json"),
              "{\"weight_map\":{\"shared.weight\":\"model-00001-of-00001.safetensors\"}}");
      case "no folder" -> Files.delete(main);
      default -> {}
    }
    Finding.Found found = find();
    assertThat(found.description().textEncoder()).isEqualTo(snapshots.resolve("1111"));
    if (!lack.equals("no folder")) {
      assertThat(found.notes().getLast())
          .startsWith("left aside: " + main + ": is incomplete, it lacks ")
          .contains("took 1111")
          .doesNotContain("\n");
    }
  }

  @Test
  void namesWhatIsMissing() throws IOException {
    assertRefused("found no Infinity transformer");
    copy("tiny_2b.pth", "a.pth");
    assertRefused("found no image tokenizer");
    copy("tiny_2b.vae.pth", "b.pth");
    assertRefused("found no T5 text encoder", "nothing is downloaded", caches.toString());
    Path text = copyFolder("flan-t5", "text");
    assertThat(find().description().textEncoder()).isEqualTo(text);
    Files.delete(text.resolve("config.json"));
    assertRefused("config.json: no such file");
  }

  @Test
  void namesTheDamagedFile() throws IOException {
    byte[] bytes = Files.readAllBytes(FILES.resolve("tiny_2b.pth"));
    Files.write(folder.resolve("infinity_2b_reg.pth"), Arrays.copyOf(bytes, bytes.length / 2));
    copy("tiny_2b.vae.pth", "vae.pth");
    copyFolder("flan-t5", "text");
    assertRefused("found no Infinity transformer", "infinity_2b_reg.pth");
    Path weights = copyFolder("tiny_2b_weights", "weights");
    Files.delete(folder.resolve("infinity_2b_reg.pth"));
    Files.delete(weights.resolve("model-00002-of-00002.safetensors"));
    assertRefused("model.safetensors.index.json", "'model-00002-of-00002.safetensors'", "missing");
  }

  @Test
  void refusesPicklesThatWouldRunSomething() throws IOException {
    // cos\nsystem\n(S'true'\ntR.
    Files.write(
        folder.resolve("infinity_2b_reg.pth"),
        "\u0080\u0002cos\nsystem\n(U\u0004truetR.".getBytes(StandardCharsets.ISO_8859_1));
    copy("tiny_2b.vae.pth", "vae.pth");
    copyFolder("flan-t5", "text");
    assertRefused("infinity_2b_reg.pth", "os.system");
  }

  @Test
  void namesBothSidesOfAMismatch() throws IOException {
    copy("tiny_8b.pth", "infinity_8b.pth");
    copy("tiny_2b.vae.pth", "infinity_vae_d32.pth");
    copyFolder("flan-t5", "text");
    assertRefused(
        "infinity_vae_d32.pth: has codes of 16 bits",
        "infinity_8b.pth draws 56 bits a token (or 4 codes of 14)");
    Files.delete(folder.resolve("infinity_8b.pth"));
    try (Checkpoint small = Checkpoints.open(FILES.resolve("tiny_2b.pth"))) {
      rewrite(small, Map.of("cfg_uncond", new long[] {16, 2048}));
    }
    assertRefused("the text encoder has 128 channels", "reads 2048");
  }

  /**
   * A codebook of a quarter of the bits draws patches only where its positions are half as wide.
   */
  @Test
  void takesNoWholePositionsForPatches() throws IOException {
    try (Checkpoint small = Checkpoints.open(FILES.resolve("tiny_2b.pth"))) {
      rewrite(small, Map.of("word_embed.weight", new long[] {32, 64}));
    }
    copy("tiny_2b.vae.pth", "vae.pth");
    assertRefused("vae.pth: has codes of 16 bits", "draws 64 bits a token");
  }

  private void rewrite(Checkpoint source, Map<String, long[]> shapes) {
    List<Item> items = new ArrayList<>();
    for (String name : source.names()) {
      long[] shape = shapes.get(name);
      items.add(
          shape == null
              ? Item.of(source.entry(name))
              : new Item(
                  name,
                  StorageType.F32,
                  shape,
                  () -> MemorySegment.ofArray(new byte[(int) StorageType.F32.bytesOf(shape)])));
    }
    SafetensorsWriter.write(folder.resolve("other.safetensors"), items, Map.of());
  }

  private Finding.Found find() {
    return Finding.find(List.of(folder), new HubCache(caches));
  }

  private void assertRefused(String... words) {
    assertThatThrownBy(this::find)
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll(words)
        .hasMessageNotContaining("\n");
  }

  private void copy(String from, String to) throws IOException {
    Path target = folder.resolve(to);
    Files.createDirectories(target.getParent());
    Files.copy(FILES.resolve(from), target);
  }

  private Path copyFolder(String from, String to) throws IOException {
    Path target = Files.createDirectories(folder.resolve(to));
    try (Stream<Path> files = Files.list(FILES.resolve(from))) {
      for (Path file : files.toList()) {
        Files.copy(file, target.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return target;
  }

  /** A repository as HuggingFace's tools lay it out, its configuration changed to a width. */
  private void hub(String name, String commit, String ref, int width) throws IOException {
    Path repository = caches.resolve(name);
    Path snapshot = Files.createDirectories(repository.resolve("snapshots").resolve(commit));
    Path blobs = Files.createDirectories(repository.resolve("blobs"));
    Files.createDirectories(repository.resolve("refs"));
    Files.writeString(repository.resolve("refs").resolve(ref), commit);
    try (Stream<Path> files = Files.list(FILES.resolve("flan-t5"))) {
      for (Path file : files.toList()) {
        String blob = "blob-" + file.getFileName();
        Files.copy(file, blobs.resolve(blob), StandardCopyOption.REPLACE_EXISTING);
        Files.createSymbolicLink(
            snapshot.resolve(file.getFileName()), Path.of("..", "..", "blobs", blob));
      }
    }
    Path config = blobs.resolve("blob-config.json");
    Files.writeString(
        config, Files.readString(config).replace("\"d_model\": 128", "\"d_model\": " + width));
  }
}
