package io.heatkv.cache;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What is stored beside the keys and values themselves.
 *
 * @param numbers bytes of the quantisers' scales, in the storage
 * @param loss bytes of the storage that its smallest parts leave empty
 * @param tables most bytes on the device at a time that say where entries lie; beside the storage,
 *     shared by all rows
 */
public record KvParts(long numbers, long loss, long tables) {
  /** Keys and values alone. */
  public static final KvParts NONE = new KvParts(0, 0, 0);

  /** Of one picture, if all take as much. */
  public KvParts each(int pictures) {
    return new KvParts(numbers / pictures, loss / pictures, tables / pictures);
  }

  /** Keys and numbers for programs. */
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("kv_number_bytes", numbers);
    json.put("kv_loss_bytes", loss);
    json.put("kv_table_bytes", tables);
    return json;
  }
}
