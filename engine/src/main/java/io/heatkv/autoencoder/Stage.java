package io.heatkv.autoencoder;

import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Residual blocks one after another, each with attention behind it where a model has some. */
record Stage(List<Step> steps) {
  private record Step(ResidualBlock block, @Nullable AttentionBlock attention) {}

  /** The blocks of a level, such as {@code decoder.up.3}. */
  static Stage level(Layers layers, String name) {
    List<Step> steps = new ArrayList<>();
    for (int i = 0; layers.has(name + ".block." + i + ".conv1"); i++) {
      steps.add(
          new Step(
              layers.residual(name + ".block." + i), layers.attentionIfAny(name + ".attn." + i)));
    }
    return new Stage(steps);
  }

  /** The two blocks at the coarsest resolution, such as {@code decoder.mid}. */
  static Stage middle(Layers layers, String name) {
    return new Stage(
        List.of(
            new Step(layers.residual(name + ".block_1"), layers.attentionIfAny(name + ".attn_1")),
            new Step(layers.residual(name + ".block_2"), null)));
  }

  /** x [n, in, h, w] to [n, out, h, w]; x is freed as soon as it is read. */
  Tensor apply(Tensor x) {
    Tensor h = x;
    for (Step step : steps) {
      h = next(h, step.block.apply(h));
      h = step.attention == null ? h : next(h, step.attention.apply(h));
    }
    return h;
  }

  private static Tensor next(Tensor before, Tensor after) {
    before.release();
    return after;
  }
}
