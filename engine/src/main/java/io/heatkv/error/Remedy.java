package io.heatkv.error;

/** What mends an input, for a program to say in its own words how to do it. */
public enum Remedy {
  /** A calibration of the model. */
  CALIBRATION,
  /** An import of the files that are meant. */
  CHOICE_OF_FILES,
  /** Half precision. */
  HALF_PRECISION,
  /** Half precision, or weights that are converted once. */
  MAPPED_WEIGHTS,
  /** To go on with what is there, or to replace it. */
  CONTINUATION,
  /** To replace what is there. */
  REPLACEMENT
}
