package io.heatkv.server.core;

import io.heatkv.GenerationResult;

/** Follows what devices do; called by their threads, but for cancels. */
public interface SchedulerListener {
  /** A pass begins. */
  default void passBegins(Form form, int pictures) {}

  /**
   * A pass was drawn.
   *
   * @param partialSeconds that showing its pictures before they were done took
   */
  default void passDrawn(Form form, int pictures, GenerationResult result, double partialSeconds) {}

  /** A job waited and is drawn now. */
  default void jobStarts(Job job) {}

  /** Some pictures of a job were cancelled. */
  default void cancelled(Job.State phase) {}

  /** A device failed; {@code usable} is whether it, or another one, still draws. */
  default void deviceFailed(Throwable problem, boolean usable) {}
}
