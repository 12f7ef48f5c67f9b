package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.convert.SyntheticCheckpoint;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A network as its file has it.
 *
 * @param key for programs, such as {@code vae}
 * @param label for people, such as {@code image tokenizer}
 * @param parameters elements of its tensors
 * @param fingerprint tells it from others
 * @param random what the file says about its weights if nobody trained them
 * @param sizes for programs
 * @param text sizes for people, {@code %s} where the number of parameters belongs
 */
public record NetworkSummary(
    String key,
    String label,
    long parameters,
    String fingerprint,
    Optional<String> random,
    Map<String, Object> sizes,
    String text) {
  public NetworkSummary {
    sizes = Collections.unmodifiableMap(new LinkedHashMap<>(sizes));
  }

  /** What a checkpoint tells, and its sizes. */
  public static NetworkSummary of(
      String key, String label, Checkpoint checkpoint, Map<String, Object> sizes, String text) {
    long parameters =
        checkpoint.names().stream().mapToLong(name -> checkpoint.entry(name).elements()).sum();
    return new NetworkSummary(
        key,
        label,
        parameters,
        Fingerprint.of(checkpoint),
        Optional.ofNullable(checkpoint.metadata().get(SyntheticCheckpoint.NOTE)),
        sizes,
        text);
  }
}
