package io.heatkv.eval.learned;

import ai.onnxruntime.OnnxJavaType;
import io.heatkv.error.UserException;
import io.heatkv.image.PngImage;
import io.heatkv.text.PromptTokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Scores a picture by its prompt, as the CLIP score, HPSv2 and ImageReward do.
 *
 * <p>A prompt longer than the model reads is cut before its end token. Where the model reads a
 * fixed number of tokens, zeros follow the prompt; {@code attention_mask}, if the model asks for
 * it, is 1 for the prompt and 0 for them.
 */
public final class TextModel extends MetricModel {
  private static final String IDS = "input_ids";
  // One of the prompt, and the end.
  private static final int LEAST_TOKENS = 2;
  private static final String MASK = "attention_mask";

  private final PromptTokenizer tokenizer;
  private final long tokens;

  TextModel(LearnedMetric metric, Path file, int width, int height) {
    super(metric, file, width, height, List.of(text(IDS)), List.of(text(MASK)), Port.score());
    try {
      tokens = model.input(IDS).orElseThrow()[1];
      int longest = tokens == Port.ANY ? metric.maxTokens() : Math.toIntExact(tokens);
      if (longest < LEAST_TOKENS) {
        throw new UserException(
            "%s: %s holds %d tokens; expected %d or more, or a free length"
                .formatted(file, IDS, longest, LEAST_TOKENS));
      }
      tokenizer = PromptTokenizer.open(tokenizerOf(file), longest);
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  private static Port text(String name) {
    return new Port(name, OnnxJavaType.INT64, 1, Port.ANY);
  }

  /** NAME.tokenizer.json of NAME.onnx, or else the folder's tokenizer.json. */
  private static Path tokenizerOf(Path file) {
    String name = file.getFileName().toString().replaceFirst("\\.onnx$", "");
    Path own = file.resolveSibling(name + ".tokenizer.json");
    Path shared = file.resolveSibling(PromptTokenizer.TOKENIZER);
    if (!Files.isRegularFile(own) && !Files.isRegularFile(shared)) {
      throw new UserException(
          "%s: no tokenizer beside it; expected %s or %s"
              .formatted(file, own.getFileName(), shared.getFileName()));
    }
    return Files.isRegularFile(own) ? own : shared;
  }

  /**
   * The model's score.
   *
   * @throws UserException if the network fails
   * @throws IllegalArgumentException if the picture is of another size
   */
  public double score(PngImage picture, String prompt) {
    int[] read;
    // The tokenizer's library says nothing of threads.
    synchronized (tokenizer) {
      read = tokenizer.encode(prompt).ids();
    }
    int length = tokens == Port.ANY ? read.length : Math.toIntExact(tokens);
    long[] ids = new long[length];
    long[] mask = new long[length];
    for (int i = 0; i < read.length; i++) {
      ids[i] = read[i];
    }
    Arrays.fill(mask, 0, read.length, 1);
    Map<String, long[]> texts = new HashMap<>(Map.of(IDS, ids));
    if (model.input(MASK).isPresent()) {
      texts.put(MASK, mask);
    }
    return model.score(Map.of(IMAGE, planes(picture)), shape(), texts);
  }

  @Override
  public void close() {
    tokenizer.close();
    super.close();
  }
}
