package io.heatkv.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import io.heatkv.error.UserException;
import io.heatkv.error.WrongDownload;
import io.heatkv.resource.JniLibrary;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Turns prompts into token ids as HuggingFace's T5 tokenizer does. */
public final class PromptTokenizer implements AutoCloseable {
  /** Names under which HuggingFace keeps a T5's tokenizer. */
  public static final String TOKENIZER = "tokenizer.json";

  public static final String SENTENCE_PIECE = "spiece.model";

  // Where this property names its file, the library neither copies nor downloads one.
  private static final JniLibrary NATIVES =
      new JniLibrary(
          "tokenizers",
          "RUST_LIBRARY_PATH",
          System.mapLibraryName("tokenizers"),
          LibUtils.class,
          "native/lib/%s-%s/cpu".formatted(JniLibrary.system(), JniLibrary.processor("x86_64")),
          List.of(System.mapLibraryName("tokenizers")));

  private final HuggingFaceTokenizer tokenizer;
  private final int maxTokens;

  /**
   * @param ids token ids with the end token
   * @param tokens of the whole prompt; more than ids.length if it was cut
   */
  public record Tokens(int[] ids, int tokens) {
    /** Whether the prompt was longer than the model reads. */
    public boolean truncated() {
      return tokens > ids.length;
    }
  }

  private PromptTokenizer(HuggingFaceTokenizer tokenizer, int maxTokens) {
    this.tokenizer = tokenizer;
    this.maxTokens = maxTokens;
  }

  /**
   * Reads a folder's tokenizer.json, or else its spiece.model.
   *
   * @param maxTokens longest prompt, end token included
   * @throws UserException if there is neither, or it is damaged
   */
  public static PromptTokenizer in(Path folder, int maxTokens) {
    Path json = folder.resolve(TOKENIZER);
    Path pieces = folder.resolve(SENTENCE_PIECE);
    if (!Files.isRegularFile(json) && Files.isRegularFile(pieces)) {
      return new PromptTokenizer(
          library(pieces, new ByteArrayInputStream(SentencePiece.read(pieces).toJson())),
          maxTokens);
    }
    return open(json, maxTokens);
  }

  /**
   * Reads a tokenizer.json.
   *
   * @param maxTokens longest prompt, end token included
   * @throws UserException if the file is missing or not a tokenizer
   */
  public static PromptTokenizer open(Path file, int maxTokens) {
    if (!Files.isRegularFile(file)) {
      throw new UserException(
          file + ": no such file; expected the text encoder's tokenizer.json or spiece.model");
    }
    try (InputStream in = Files.newInputStream(file)) {
      Optional<String> wrong = WrongDownload.in(file);
      if (wrong.isPresent()) {
        throw new UserException(file + ": " + wrong.get());
      }
      return new PromptTokenizer(library(file, in), maxTokens);
    } catch (IOException e) {
      throw new UserException(file + ": can't be read: " + e.getMessage(), e);
    }
  }

  /** A tokenizer.json for encoders of random weights: a token a letter, ids below 300. */
  public static byte[] letters() {
    return UnigramModel.ofLetters().toJson();
  }

  /**
   * Loads the tokenizer's native code, unless that was done.
   *
   * @return the folder of its files
   * @throws UserException if it can't be unpacked or loaded
   */
  public static Path loadNatives() {
    // It must not download, wherever else it is told to look.
    return NATIVES.load(() ->
        JniLibrary.withProperty(
            "ai.djl.offline",
            "true",
            () -> {
              LibUtils.checkStatus();
              return true;
            }));
  }

  private static HuggingFaceTokenizer library(Path file, InputStream json) {
    loadNatives();
    try {
      // Else it asks the network whether it runs in a cloud, and reports that it does.
      return JniLibrary.withProperty(
          "OPT_OUT_TRACKING",
          "true",
          () ->
              HuggingFaceTokenizer.newInstance(
                  json,
                  Map.of("truncation", "false", "padding", "false", "addSpecialTokens", "true")));
    } catch (Exception e) {
      throw new UserException(
          file
              + ": is not a tokenizer ("
              + String.valueOf(e.getMessage()).lines().findFirst().orElse("")
              + ")",
          e);
    }
  }

  /** Ids of a prompt, cut to the longest one with its end token kept, as the official code does. */
  public Tokens encode(String prompt) {
    Encoding encoding = tokenizer.encode(prompt);
    int[] ids = Arrays.stream(encoding.getIds()).mapToInt(Math::toIntExact).toArray();
    if (ids.length <= maxTokens) {
      return new Tokens(ids, ids.length);
    }
    int[] cut = Arrays.copyOf(ids, maxTokens);
    cut[maxTokens - 1] = ids[ids.length - 1];
    return new Tokens(cut, ids.length);
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
