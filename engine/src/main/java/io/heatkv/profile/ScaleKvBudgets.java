package io.heatkv.profile;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.nio.file.Path;

/**
 * The layer budgets that ScaleKV's authors publish for their models: for each scale which layers
 * are drafters (1) and how many tokens drafters (Max) and refiners (Min) may see, in a JSON file
 * with keys {@code "Scale 9"} … {@code "Scale 13"} (scales counted from 1) and {@code "Block 0"} ….
 */
public final class ScaleKvBudgets {
  // [scale], counted from 0: empty where the file has none
  private final boolean[][] drafters;
  private final double[] drafterShare;

  private ScaleKvBudgets(boolean[][] drafters, double[] drafterShare) {
    this.drafters = drafters;
    this.drafterShare = drafterShare;
  }

  /** Whether a file looks like one of these. */
  public static boolean isIn(Path file) {
    return JsonObject.read(file).values().keySet().stream()
        .anyMatch(key -> key.startsWith("Scale "));
  }

  /**
   * Reads a file.
   *
   * @throws UserException if it is unsound, or of another number of layers or scales
   */
  public static ScaleKvBudgets read(Path file, int layers, int scales) {
    JsonObject json = JsonObject.read(file);
    boolean[][] drafters = new boolean[scales][];
    double[] share = new double[scales];
    for (int t = 0; t < scales; t++) {
      drafters[t] = new boolean[0];
    }
    for (String key : json.values().keySet()) {
      int scale = scale(file, key, scales);
      JsonObject entry = json.object(key);
      if (entry.has("Block " + layers)) {
        throw new UserException(
            "%s: has budgets of more than the model's %d layers; name the file of this model"
                .formatted(file, layers));
      }
      boolean[] found = new boolean[layers];
      int count = 0;
      for (int l = 0; l < layers; l++) {
        found[l] = entry.number("Block " + l) != 0;
        count += found[l] ? 1 : 0;
      }
      double mean =
          (count * entry.size("Max") + (layers - count) * (double) entry.size("Min")) / layers;
      drafters[scale] = found;
      share[scale] = entry.size("Max") / mean;
    }
    if (drafters[scales - 1].length == 0) {
      throw new UserException(
          "%s: has no budgets of scale %d; name the file of this model and resolution"
              .formatted(file, scales));
    }
    return new ScaleKvBudgets(drafters, share);
  }

  private static int scale(Path file, String key, int scales) {
    if (key.matches("Scale [0-9]{1,3}")) {
      int number = Integer.parseInt(key.substring("Scale ".length()));
      if (number >= 1 && number <= scales) {
        return number - 1;
      }
    }
    throw new UserException(
        "%s: has the key %s; expected Scale 1 to Scale %d"
            .formatted(file, key.length() > 40 ? key.substring(0, 40) + "…" : key, scales));
  }

  /** Whether the file says anything of what a scale may see. */
  public boolean has(int target) {
    return drafters[target].length > 0;
  }

  /** Whether a layer is a drafter when a scale looks at its cache. */
  public boolean isDrafter(int target, int layer) {
    return has(target) && drafters[target][layer];
  }

  /** Tokens of a drafter, in units of the mean over layers. */
  public double drafterShare(int target) {
    return drafterShare[target];
  }
}
