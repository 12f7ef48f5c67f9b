package io.heatkv.eval.config;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Figures of others, to be laid beside one's own.
 *
 * @param source where they were published
 * @param note what to know when comparing; may be empty
 * @param rows a policy under a budget each
 */
public record Published(String source, String note, List<Row> rows) {
  public Published {
    rows = List.copyOf(rows);
  }

  /**
   * A row of a published table.
   *
   * @param policy its name here
   * @param budget such as {@code 10%}
   * @param values by the ids of metrics
   */
  public record Row(String policy, String budget, Map<String, Double> values) {
    public Row {
      values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }
  }
}
