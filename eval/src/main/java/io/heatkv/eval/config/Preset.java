package io.heatkv.eval.config;

import io.heatkv.eval.run.Cells;
import java.util.List;
import java.util.Optional;

/**
 * What an evaluation of one set of prompts takes where the command line says nothing else.
 *
 * @param name of the set, and of its folder
 * @param title for people
 * @param policies to compare
 * @param budgets to compare under
 * @param seeds pictures of each prompt
 * @param first prompts that are taken; all if empty
 * @param images prompts whose pictures are kept
 * @param resolution such as 1M; the model's own scales if empty
 * @param cfg guidance strength; the model's own if empty
 * @param tau temperature; the model's own if empty
 * @param published figures to lay beside
 */
public record Preset(
    String name,
    String title,
    List<String> policies,
    List<String> budgets,
    int seeds,
    Optional<Integer> first,
    int images,
    Optional<String> resolution,
    Optional<Double> cfg,
    Optional<Double> tau,
    List<Published> published) {
  /** Prompts whose pictures are kept where nothing is said. */
  public static final int IMAGES = 8;

  public Preset {
    policies = List.copyOf(policies);
    budgets = List.copyOf(budgets);
    published = List.copyOf(published);
  }

  /** What holds without a file. */
  public static Preset standard() {
    return new Preset(
        "",
        "",
        Cells.allPolicies(),
        List.of("0.3", "0.2", "0.1", "0.05"),
        1,
        Optional.empty(),
        IMAGES,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        List.of());
  }
}
