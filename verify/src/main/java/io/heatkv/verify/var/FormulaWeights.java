package io.heatkv.verify.var;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Weights that a recording gives as a formula of their names, since the file would be large. */
final class FormulaWeights implements Checkpoint {
  private static final long MOST_ELEMENTS = 1 << 26;

  private final Path source;
  private final Arena arena = Arena.ofShared();
  private final Map<String, TensorEntry> entries = new TreeMap<>();

  private FormulaWeights(Path source) {
    this.source = source;
  }

  /**
   * @param formula names with their shapes, and a seed
   */
  static FormulaWeights of(JsonObject formula) {
    FormulaWeights weights = new FormulaWeights(formula.source());
    JsonObject keys = formula.object("keys");
    long elements = 0;
    for (String name : keys.values().keySet()) {
      long[] shape = shape(keys.list(name), keys);
      long count = 1;
      for (long size : shape) {
        count = Math.multiplyExact(count, size);
      }
      elements += count;
      if (elements > MOST_ELEMENTS) {
        throw new UserException(formula.source() + ": the formula's weights are too many");
      }
      float[] values = values(name, shape, (int) count, (int) (long) formula.number("seed"));
      MemorySegment bytes = weights.arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
      weights.entries.put(name, new TensorEntry(name, StorageType.F32, shape, bytes));
    }
    return weights;
  }

  private static long[] shape(List<?> sizes, JsonObject keys) {
    return sizes.stream()
        .mapToLong(size -> {
          if (size instanceof Double number && number >= 0 && number <= MOST_ELEMENTS) {
            return number.longValue();
          }
          throw new UserException(keys.source() + ": has size " + size + "; expected a number");
        })
        .toArray();
  }

  /** FNV-1a of the name, and murmur3's finaliser of its sum with the element's number. */
  private static float[] values(String name, long[] shape, int count, int seed) {
    int hash = 0x811C9DC5;
    for (byte letter : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (letter & 0xFF)) * 0x01000193;
    }
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      int z = (hash ^ seed) + i * 0x9E3779B9;
      z = (z ^ (z >>> 16)) * 0x85EBCA6B;
      z = (z ^ (z >>> 13)) * 0xC2B2AE35;
      z ^= z >>> 16;
      values[i] = (float) scaled(name, shape, (z >>> 16) / 32768.0 - 1);
    }
    return values;
  }

  private static double scaled(String name, long[] shape, double u) {
    if (shape.length == 4) {
      return u * Math.sqrt(3.0 / (shape[1] * shape[2] * shape[3]));
    }
    return switch (name) {
      case "quantize.embedding.weight" -> 2 * u;
      case "quantize.ema_vocab_hit_SV" -> 0;
      default -> name.endsWith(".weight") ? 1 + u / 4 : u / 8;
    };
  }

  @Override
  public Path path() {
    return source;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  @Override
  public Optional<TensorEntry> find(String name) {
    return Optional.ofNullable(entries.get(name));
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public void close() {
    arena.close();
  }
}
