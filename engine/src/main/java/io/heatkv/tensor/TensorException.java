package io.heatkv.tensor;

/** An operator failed; the message names it and the shapes of its arguments. */
public final class TensorException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public TensorException(String message) {
    super(message);
  }
}
