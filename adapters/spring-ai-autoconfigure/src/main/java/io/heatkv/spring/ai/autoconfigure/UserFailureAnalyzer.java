package io.heatkv.spring.ai.autoconfigure;

import io.heatkv.error.UserException;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Says why an application can't start in the engine's line, instead of a stack trace. */
final class UserFailureAnalyzer extends AbstractFailureAnalyzer<UserException> {
  @Override
  protected FailureAnalysis analyze(Throwable rootFailure, UserException cause) {
    String message = String.valueOf(cause.getMessage());
    int end = message.indexOf("; ");
    return end < 0
        ? new FailureAnalysis(message, null, cause)
        : new FailureAnalysis(message.substring(0, end), message.substring(end + 2), cause);
  }
}
