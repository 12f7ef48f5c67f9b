package io.heatkv.verify.infinity;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.verify.Golden;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The transformer of a golden folder with its prompts, schedules and near ties. */
final class GoldenInfinity implements AutoCloseable {
  private static final String INDEX = "tiny_infinity.safetensors.index.json";
  private static final String SINGLE = "tiny_infinity.safetensors";
  private static final String TEXTS = "tiny_text.safetensors";
  private static final String INFO = "info.json";
  private static final String NEAR_TIES = "near_ties";

  private final Golden golden;
  private final Checkpoint weights;
  private final Checkpoint texts;
  private final InfinityModel model;
  private final Optional<JsonObject> info;

  private GoldenInfinity(Golden golden, Checkpoint weights, Checkpoint texts) {
    this.golden = golden;
    this.weights = weights;
    this.texts = texts;
    info =
        golden.has(INFO)
            ? Optional.of(JsonObject.read(golden.folder().resolve(INFO)))
            : Optional.empty();
    InfinityTransformer transformer =
        new InfinityTransformer(
            TransformerConfigs.infer(weights, false),
            weights,
            golden.backend(),
            golden.device(),
            DType.F32);
    model =
        new InfinityModel(
            golden.folder().toString(),
            transformer,
            new MultiScaleBsq(transformer.config().bits(), false),
            (prompt, _) -> text(Integer.parseInt(prompt)),
            Optional.empty());
  }

  static boolean isIn(Golden golden) {
    return golden.has(TEXTS) && (golden.has(INDEX) || golden.has(SINGLE));
  }

  static GoldenInfinity open(Golden golden) {
    Checkpoint weights = golden.open(golden.has(INDEX) ? INDEX : SINGLE);
    try {
      Checkpoint texts = golden.open(TEXTS);
      try {
        return new GoldenInfinity(golden, weights, texts);
      } catch (RuntimeException e) {
        texts.close();
        throw e;
      }
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  /** Its prompts are the numbers of the recorded texts. */
  InfinityModel model() {
    return model;
  }

  TransformerConfig config() {
    return model.transformer().config();
  }

  /** Number of recorded prompts. */
  int prompts() {
    int count = 0;
    while (texts.find(name(count)).isPresent()) {
      count++;
    }
    return count;
  }

  /** Features of a prompt [tokens, channels], in the innermost open scope. */
  Tensor text(int prompt) {
    Tensor text = golden.tensor(texts, name(prompt), 2);
    int channels = config().textChannels();
    int longest = config().textMaxLength();
    if (text.size(1) != channels || text.size(0) > longest) {
      throw new UserException(
          "%s: tensor %s is %s; the transformer reads at most %d tokens of %d channels"
              .formatted(texts.path(), name(prompt), text, longest, channels));
    }
    return text;
  }

  private static String name(int prompt) {
    return "text_features." + prompt;
  }

  /**
   * Grids of a recorded run: those that info.json names, else the template's first ones.
   *
   * @param template height over width as file names have it, such as 1.5
   */
  ScaleGrids grids(String template, int scales) {
    ScaleTemplate nearest = ScaleTemplate.nearest(Double.parseDouble(template));
    Optional<JsonObject> run =
        info.filter(json -> json.has("full_" + template))
            .map(json -> json.object("full_" + template))
            .filter(json -> json.has("schedule"));
    if (run.isPresent()) {
      return new ScaleGrids(sizes(run.get()));
    }
    return new ScaleGrids(nearest.sizes().subList(0, Math.min(scales, nearest.sizes().size())));
  }

  private static List<ScaleSize> sizes(JsonObject run) {
    List<ScaleSize> sizes = new ArrayList<>();
    for (Object item : run.list("schedule")) {
      int[] grid = whole(item, 3, run, "[1, height, width]");
      sizes.add(new ScaleSize(grid[1], grid[2]));
    }
    return sizes;
  }

  /**
   * Bits whose recorded logits nearly tie, so that rounding may turn them.
   *
   * @param file that the run is recorded in
   * @return by scale: positions token * bits + bit
   */
  Map<Integer, Set<Integer>> nearTies(String file) {
    Map<Integer, Set<Integer>> ties = new HashMap<>();
    if (info.isEmpty()) {
      return ties;
    }
    for (String key : info.get().values().keySet()) {
      if (key.startsWith(NEAR_TIES) && info.get().object(key).has(file)) {
        for (Object item : info.get().object(key).list(file)) {
          int[] tie = whole(item, 3, info.get(), "[scale, token, bit, gap]");
          ties.computeIfAbsent(tie[0], _ -> new HashSet<>()).add(tie[1] * config().bits() + tie[2]);
        }
      }
    }
    return ties;
  }

  /** The first {@code count} numbers of a list. */
  private static int[] whole(Object item, int count, JsonObject source, String expected) {
    int[] numbers = new int[count];
    for (int i = 0; i < count; i++) {
      if (item instanceof List<?> list
          && list.size() >= count
          && list.get(i) instanceof Double number
          && number == Math.rint(number)
          && Math.abs(number) < 1 << 20) {
        numbers[i] = number.intValue();
      } else {
        throw new UserException(source.source() + ": has " + item + "; expected " + expected);
      }
    }
    return numbers;
  }

  @Override
  public void close() {
    model.close();
    texts.close();
    weights.close();
  }
}
