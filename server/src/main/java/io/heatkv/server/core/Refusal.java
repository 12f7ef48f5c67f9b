package io.heatkv.server.core;

import java.time.Duration;

/** A job that isn't taken, and isn't wrong: it may come again. */
public final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why. */
  public enum Reason {
    QUEUE_FULL,
    DRAINING,
    DEVICE_FAILED
  }

  private final Reason reason;
  private final Duration retryAfter;

  Refusal(Reason reason, Duration retryAfter, String message) {
    super(message);
    this.reason = reason;
    this.retryAfter = retryAfter;
  }

  public Reason reason() {
    return reason;
  }

  /** When it is worth coming again. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
