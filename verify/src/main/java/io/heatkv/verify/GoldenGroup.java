package io.heatkv.verify;

import java.util.function.Consumer;

/** Comparisons with one kind of recorded files. */
interface GoldenGroup {
  /** Whether the folder has files of this kind. */
  boolean isIn(Golden golden);

  /**
   * Runs the comparisons.
   *
   * @throws io.heatkv.error.UserException if a file is damaged or files don't fit each other
   */
  void verify(Golden golden, Consumer<Check> checks);
}
