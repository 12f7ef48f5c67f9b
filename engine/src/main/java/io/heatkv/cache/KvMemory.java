package io.heatkv.cache;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Bytes that a cache took, measured from its tensors.
 *
 * @param storage of keys and values of earlier scales, allocated for the life of the cache: what a
 *     budget bounds, with the tables
 * @param parts of it, and tables
 * @param currentScale largest keys and values of a scale while its layer attends; outside the
 *     budget
 * @param workspace largest copies of retained entries while a layer attends; outside the budget
 */
public record KvMemory(long storage, KvParts parts, long currentScale, long workspace) {
  /** Before anything is allocated. */
  public static final KvMemory NONE = new KvMemory(0, KvParts.NONE, 0, 0);

  /** Of one picture, if all take as much. */
  public KvMemory each(int pictures) {
    return new KvMemory(
        storage / pictures, parts.each(pictures), currentScale / pictures, workspace / pictures);
  }

  /** Keys and numbers for programs. */
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("kv_bytes", storage);
    json.putAll(parts.toJson());
    json.put("kv_current_scale_bytes", currentScale);
    json.put("kv_workspace_bytes", workspace);
    return json;
  }
}
