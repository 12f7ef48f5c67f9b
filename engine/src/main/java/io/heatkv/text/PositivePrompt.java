package io.heatkv.text;

import java.util.List;

/**
 * The official tool's addition to prompts with persons (enable_positive_prompt of
 * tools/run_infinity.py, aug_with_positive_prompt).
 */
public final class PositivePrompt {
  /** Any of these letters anywhere counts, also within longer words, as the tool has it. */
  private static final List<String> PERSONS =
      List.of(
          "man",
          "woman",
          "men",
          "women",
          "boy",
          "girl",
          "child",
          "person",
          "human",
          "adult",
          "teenager",
          "employee",
          "employer",
          "worker",
          "mother",
          "father",
          "sister",
          "brother",
          "grandmother",
          "grandfather",
          "son",
          "daughter");

  private static final String ADDITION =
      ". very smooth faces, good looking faces, face to the camera, perfect facial features";

  private PositivePrompt() {}

  /** The prompt, with the addition if it speaks of a person. */
  public static String of(String prompt) {
    return PERSONS.stream().anyMatch(prompt::contains) ? prompt + ADDITION : prompt;
  }
}
