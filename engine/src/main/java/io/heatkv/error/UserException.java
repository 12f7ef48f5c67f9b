package io.heatkv.error;

/**
 * Input that the user can mend: a file, key, shape or option.
 *
 * <p>The message is one line that names the input, what was expected and what to do; the command
 * line prints it and ends with status 2.
 */
public final class UserException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public UserException(String message) {
    super(message);
  }

  public UserException(String message, Throwable cause) {
    super(message, cause);
  }
}
