package io.heatkv.eval.run;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonFile;
import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * What one batch gave: a file of its own, so that a kill costs no more than the batch in progress.
 *
 * @param first number of its first picture
 * @param count of its pictures
 * @param settled whether its times are those of a program that has run before: a process's first
 *     batch is slower
 * @param processes that drew on the device at once
 * @param full with the full cache
 * @param cells under the policies, in the order of the settings
 */
public record BatchResult(
    int first, int count, boolean settled, int processes, CellResult full, List<CellResult> cells) {
  public BatchResult {
    cells = List.copyOf(cells);
  }

  /**
   * Writes the file whole or not at all.
   *
   * @throws UserException if it can't be written
   */
  public void write(Path file) {
    JsonFile.write(file, this::write);
  }

  private void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeNumberField("first", first);
    json.writeNumberField("count", count);
    json.writeBooleanField("settled", settled);
    json.writeNumberField("processes", processes);
    json.writeFieldName("full");
    full.write(json);
    json.writeArrayFieldStart("cells");
    for (CellResult cell : cells) {
      cell.write(json);
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  /**
   * @throws UserException if the file isn't such a result
   */
  @SuppressWarnings("unchecked")
  static BatchResult read(Path file) {
    JsonObject json = JsonObject.read(file);
    try {
      return new BatchResult(
          (int) json.number("first"),
          json.size("count"),
          json.flag("settled", false),
          json.size("processes"),
          CellResult.read(json.object("full")),
          json.list("cells").stream()
              .map(cell ->
                  CellResult.read(new JsonObject(file, "cells.", (Map<String, Object>) cell)))
              .toList());
    } catch (ClassCastException | IllegalArgumentException e) {
      throw new UserException(
          file + ": is no result of a batch; remove it, and it will be drawn again", e);
    }
  }
}
