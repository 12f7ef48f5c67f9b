package io.heatkv.verify;

import java.util.function.Consumer;

/**
 * Comparisons with one kind of recorded files. Those of other jars, such as a family's own, are
 * found by {@link java.util.ServiceLoader}: a public class with a public constructor without
 * parameters, named in the jar's {@code META-INF/services/io.heatkv.verify.GoldenReader}.
 */
public interface GoldenReader {
  /** Whether the folder has files of this kind. */
  boolean isIn(Golden golden);

  /**
   * Whether all that the folder holds besides is the model's own, so that nothing is left aside.
   */
  default boolean isModel() {
    return false;
  }

  /**
   * Runs the comparisons.
   *
   * @throws io.heatkv.error.UserException if a file is damaged or files don't fit each other
   */
  void verify(Golden golden, Consumer<Check> checks);
}
