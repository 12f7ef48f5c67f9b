package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.heatkv.load.ModelSource;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a user gets wrong is one line, exit status 2, and nothing written. */
class WrongInputTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          --count -1             | count -1
          --count 0              | count 0
          --count two            | 'two' is not an int
          --count 2000000000     | count 2000000000
          --count 100001         | count 100001
          --seed -1              | seed -1
          --seed 1e3             | '1e3' is not a long
          --batch 0              | batch 0
          --batch 1025           | batch 1025
          --tau 0                | tau 0
          --tau -1               | tau -1
          --tau NaN              | tau NaN
          --tau 1,0              | tau 0
          --cfg NaN              | cfg NaN
          --cfg Infinity         | cfg Infinity
          --cfg 1,x              | 'x' is not a double
          --cfg 1,1,1,1,1,1,1,1,1,1,1 | cfg has 11 values
          --top-p 0              | top-p 0
          --top-p 1.5            | top-p 1.5
          --top-p NaN            | top-p NaN
          --cfg-layer 1          | cfg layer 1
          --cfg-layer -13        | cfg layer -13
          --aspect-ratio 4:1     | aspect ratio '4:1'
          --aspect-ratio 1:4     | aspect ratio '1:4'
          --aspect-ratio 0:0     | aspect ratio '0:0'
          --aspect-ratio NaN     | aspect ratio 'NaN'
          --aspect-ratio wide    | aspect ratio 'wide'
          --resolution 2M        | resolution '2M'
          --scales 4x4,2x2       | scale 2x2
          --scales 1x1,2         | scale '2'
          --scales 1x1 --resolution 1M | leave out
          --model nothing        | model 'nothing'
          --device tpu           | device 'tpu'
          --device cpu,cuda:0    | devices cpu,cuda:0 are of several kinds
          --device cuda:1,cuda:1 | device cuda:1 is named twice
          --device cuda:0,cuda   | device 'cuda:0,cuda' is unknown
          --device cpux0         | device 'cpux0'
          --device cpux99        | device 'cpux99'
          --device cpu,          | device 'cpu,'
          --dtype int8           | dtype 'int8'
          --threads 0            | threads 0
          --threads 1025         | threads 1025
          --negative-prompt=     | negative prompt
          --sed 3                | did you mean --seed?
          --prompts missing.txt  | leave out one
          --count 1024 --batch 1024 --resolution 1M | mapped (--resolution, --dtype bf16, heatkv import)
          -o missing/a.png       | create it first
          -o a.jpg               | expected NAME.png
          -o .png                | expected NAME.png
          """)
  void isSaidInOneLine(String options, String expected) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("generate", "a red apple"));
    arguments.addAll(Arrays.asList(options.split(" ")));
    int file = arguments.indexOf("-o") + 1;
    if (file > 0) {
      arguments.set(file, folder.resolve(arguments.get(file)).toString());
    } else {
      arguments.addAll(List.of("-o", folder.resolve("a.png").toString()));
    }
    refused(expected, arguments.toArray(String[]::new));
    assertThat(files()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "\t\n"})
  void blankPrompt(String prompt) throws IOException {
    refused("a prompt is blank", "generate", prompt, "-o", folder.resolve("a.png").toString());
    assertThat(files()).isEmpty();
  }

  @Test
  void noPromptAtAll() {
    refused("no prompt", "generate");
  }

  @Test
  void folderAsOutput() throws IOException {
    refused("is a folder", "generate", "an apple", "-o", folder.toString());
    Files.createDirectory(folder.resolve("a-2.png"));
    refused(
        "a-2.png is a folder",
        "generate",
        "an apple",
        "--count",
        "2",
        "-o",
        folder.resolve("a.png").toString());
    assertThat(files()).containsExactly("a-2.png");
  }

  @Test
  void promptFileThatIsMissingEmptyBlankOrNotUtf8() throws IOException {
    Path output = folder.resolve("a.png");
    Path missing = folder.resolve("missing.txt");
    refused("can't be read", "generate", "--prompts", missing.toString(), "-o", output.toString());
    refused("can't be read", "generate", "--prompts", folder.toString(), "-o", output.toString());
    Path file = folder.resolve("prompts.txt");
    for (String text : List.of("", "\n \n", "\uFEFF")) {
      Files.writeString(file, text);
      refused("has no prompt", "generate", "--prompts", file.toString(), "-o", output.toString());
    }
    Files.write(file, "un café".getBytes(StandardCharsets.ISO_8859_1));
    refused("not UTF-8", "generate", "--prompts", file.toString(), "-o", output.toString());
    assertThat(files()).containsExactly("prompts.txt");
  }

  @Test
  void promptThatNoPngCanHold() throws IOException {
    Path file = Files.writeString(folder.resolve("prompts.txt"), "an apple\0");
    refused(
        "NUL", "generate", "--prompts", file.toString(), "-o", folder.resolve("a.png").toString());
    assertThat(files()).containsExactly("prompts.txt");
  }

  @Test
  void libtorchThatIsNone() {
    refused("libtorch", "generate", "an apple", "--libtorch", folder.toString());
    refused("libtorch", "doctor", "--libtorch", folder.toString());
    refused("libtorch", "doctor", "--libtorch", folder.resolve("missing").toString());
  }

  @Test
  void severalDevicesOfACommandThatTakesOne() {
    refused("cpux2 are several", "compare", "an apple", "--device", "cpux2");
    refused("cpux2 are several", "bench", "--device", "cpux2");
  }

  @Test
  void cudaOfALibtorchWithoutIt() {
    assumeFalse(LibTorchLocation.find(null, CacheFolder.locate()).hasCuda());
    refused("has no CUDA", "generate", "an apple", "--device", "cuda");
    refused("has no CUDA", "generate", "an apple", "--device", "cuda:0,cuda:1");
    refused("has no CUDA", "verify", "emoji", "--device", "cuda:1");
  }

  @Test
  void modelFolderThatIsNone() {
    refused("found no Infinity transformer", "generate", "an apple", "--model", folder.toString());
    refused("found no Infinity transformer", "inspect", folder.toString());
    refused("nothing to compare", "verify", folder.toString());
  }

  @Test
  void truncatedWeights() throws IOException {
    byte[] whole = Files.readAllBytes(emoji().resolve("transformer.safetensors"));
    modelWith(Arrays.copyOf(whole, whole.length - 1));
    refusedModel("transformer.safetensors");
    modelWith(Arrays.copyOf(whole, 100));
    refusedModel("transformer.safetensors");
    modelWith(new byte[0]);
    refusedModel("transformer.safetensors");
  }

  @Test
  void missingKey() throws IOException {
    modelWith(edited("\"pos_start\"", "\"pos_stArt\""));
    refusedModel("'pos_start'");
  }

  @Test
  void wrongShape() throws IOException {
    modelWith(edited("[1280,320]", "[320,1280]"));
    refusedModel("[320, 1280]");
  }

  @Test
  void moreScalesThanTheModelKnows() throws IOException {
    refused(
        "16 scales",
        "generate",
        "an apple",
        "--threads",
        "1",
        "--scales",
        "1x1,".repeat(15) + "1x1",
        "-o",
        folder.resolve("a.png").toString());
    assertThat(files()).isEmpty();
  }

  @Test
  void fileThatIsNoPicture() throws IOException {
    Path text = Files.writeString(folder.resolve("a.png"), "not a picture");
    refused("expected a PNG", "inspect", text.toString());
    refused("no such file", "inspect", folder.resolve("missing.png").toString());
  }

  @Test
  void unknownCommand() {
    refused("did you mean generate?", "genrate", "an apple");
    refused("FILE|MODEL", "inspect");
  }

  private static void refused(String expected, String... arguments) {
    Run.of(arguments).assertRefused(expected);
  }

  private void refusedModel(String expected) throws IOException {
    List<String> before = files();
    refused(
        expected,
        "generate",
        "an apple",
        "--threads",
        "1",
        "--model",
        folder.resolve("model").toString(),
        "-o",
        folder.resolve("a.png").toString());
    assertThat(files()).isEqualTo(before);
  }

  /** The embedded model with other bytes as its transformer. */
  private void modelWith(byte[] transformer) throws IOException {
    Path model = Files.createDirectories(folder.resolve("model"));
    Path weights = model.resolve("transformer.safetensors");
    for (String name : List.of("model.json", "vae.safetensors", "text_encoder")) {
      Path link = model.resolve(name);
      if (!Files.exists(link)) {
        Files.createSymbolicLink(link, emoji().resolve(name));
      }
    }
    Files.write(weights, transformer);
  }

  /** The transformer's file with another text of the same length in its header. */
  private static byte[] edited(String text, String replacement) throws IOException {
    byte[] bytes = Files.readAllBytes(emoji().resolve("transformer.safetensors"));
    String all = new String(bytes, StandardCharsets.ISO_8859_1);
    int at = all.indexOf(text);
    assertThat(at).isPositive();
    System.arraycopy(
        replacement.getBytes(StandardCharsets.ISO_8859_1), 0, bytes, at, replacement.length());
    return bytes;
  }

  private static Path emoji() {
    return ModelSource.find(ModelSource.EMBEDDED).folder().toAbsolutePath();
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
