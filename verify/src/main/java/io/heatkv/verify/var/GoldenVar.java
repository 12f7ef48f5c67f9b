package io.heatkv.verify.var;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.var.VarConfig;
import io.heatkv.var.VarModel;
import io.heatkv.verify.Golden;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A VAR model of a golden folder and the settings of its recordings. */
final class GoldenVar implements AutoCloseable {
  static final String TOKENIZER = "tiny_vqvae.safetensors";
  static final String INFO = "info.json";

  private static final String VARIANT = "[a-z0-9]{1,40}";
  private static final Pattern TRANSFORMER =
      Pattern.compile("tiny_var(?:_(" + VARIANT + "))?\\.safetensors");

  /** The transformer that file names call so, since its own file has no name behind it. */
  private static final String PLAIN = "plain";

  private final Golden golden;
  private final String variant;
  private final Checkpoint transformer;
  private final Checkpoint tokenizer;
  private final VarModel model;
  private final JsonObject info;

  private GoldenVar(Golden golden, String variant, Checkpoint transformer, Checkpoint tokenizer) {
    this.golden = golden;
    this.variant = variant;
    this.transformer = transformer;
    this.tokenizer = tokenizer;
    info = info(golden);
    model =
        VarModel.load(
            golden.folder().toString(),
            VarConfig.infer(transformer),
            transformer,
            tokenizer,
            golden.backend(),
            golden.device(),
            DType.F32,
            () -> {});
  }

  static boolean isIn(Golden golden) {
    return golden.has(TOKENIZER, INFO) && !golden.files(TRANSFORMER).isEmpty();
  }

  static JsonObject info(Golden golden) {
    return JsonObject.read(golden.folder().resolve(INFO));
  }

  /** Names of the transformers, as other files' names have them. */
  static List<String> variants(Golden golden) {
    return golden.files(TRANSFORMER).stream()
        .map(TRANSFORMER::matcher)
        .filter(Matcher::matches)
        .map(name -> name.group(1) == null ? PLAIN : name.group(1))
        .toList();
  }

  static GoldenVar open(Golden golden, String variant) {
    String name = variant.equals(PLAIN) ? "tiny_var" : "tiny_var_" + variant;
    Checkpoint transformer = golden.open(name + ".safetensors");
    try {
      Checkpoint tokenizer = golden.open(TOKENIZER);
      try {
        return new GoldenVar(golden, variant, transformer, tokenizer);
      } catch (RuntimeException e) {
        tokenizer.close();
        throw e;
      }
    } catch (RuntimeException e) {
      transformer.close();
      throw e;
    }
  }

  VarModel model() {
    return model;
  }

  ScaleGrids grids() {
    return model.config().grids();
  }

  /** First scales that are never removed. */
  int sinks() {
    return info.size("sink");
  }

  /** Pictures of the recorded labels. */
  List<PictureRequest> pictures(double cfg, boolean argmax) {
    SamplingOptions sampling =
        new SamplingOptions(
            List.of(cfg),
            List.of(1.0),
            info.size("top_k"),
            info.number("top_p"),
            argmax,
            true,
            Set.of(),
            0);
    return info.list("labels").stream()
        .map(label -> {
          if (label instanceof Double number && number == Math.rint(number)) {
            return new PictureRequest(String.valueOf(number.intValue()), 0, sampling);
          }
          throw new UserException(info.source() + ": labels has " + label + "; expected a number");
        })
        .toList();
  }

  /** Sizes that pruning schedules refer to. */
  ScheduleShape shape() {
    VarConfig config = model.config();
    return new ScheduleShape(
        config.depth(), config.heads(), grids().tokens(), sinks(), sinks(), grids().count() - 2);
  }

  boolean hasOrders() {
    return golden.has(ordersFile());
  }

  /** Recorded head orders. */
  HeadOrders orders() {
    ScheduleShape shape = shape();
    return HeadOrders.parse(
        ordersFile(),
        JsonObject.readList(golden.folder().resolve(ordersFile())),
        shape.layers(),
        shape.heads(),
        shape.firstSource(),
        shape.lastSource());
  }

  private String ordersFile() {
    return "scas_" + variant + "_orders.json";
  }

  /** Rows as the official code has them: all conditional ones, then all unconditional ones. */
  Tensor halves(Tensor rows) {
    long[] shape = rows.shape();
    long pictures = shape[0] / 2;
    return rows.reshape(pictures, 2, rows.count() / shape[0]).transpose(0, 1).reshape(shape);
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
    transformer.close();
  }
}
