package io.heatkv.error;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Input that the user can mend: a file, key, shape or option.
 *
 * <p>The message is one line that names the input, what was expected and what to do; the command
 * line prints it and ends with status 2. It names no option: a program adds how it takes the {@link
 * #remedy}.
 */
public final class UserException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final @Nullable Remedy remedy;

  public UserException(String message) {
    super(message);
    remedy = null;
  }

  public UserException(String message, Remedy remedy) {
    super(message);
    this.remedy = remedy;
  }

  public UserException(String message, Throwable cause) {
    super(message, cause);
    remedy = null;
  }

  /** What mends the input, where a program may say how. */
  public Optional<Remedy> remedy() {
    return Optional.ofNullable(remedy);
  }
}
