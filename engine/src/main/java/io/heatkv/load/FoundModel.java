package io.heatkv.load;

import java.util.List;

/**
 * A model, and what should be said about how it was found.
 *
 * @param notes a line each; none if a model.json says everything
 */
public record FoundModel(ModelDescription description, List<String> notes) {
  public FoundModel {
    notes = List.copyOf(notes);
  }
}
