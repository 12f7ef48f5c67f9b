package io.heatkv.load;

/**
 * A model of any size whose weights are random and lie in memory: its arithmetic is that of a
 * trained one, so that it can be timed without files. It decodes with random weights, too, which
 * are made when they are first asked for.
 */
public interface RandomModel extends ModelSizes {
  /** One of no size worth mentioning that takes the same kernels. */
  RandomModel tiny();
}
