package io.heatkv.server.core;

import java.time.Duration;

/**
 * What the devices of a {@link Scheduler} are doing.
 *
 * @param devices that can be used
 * @param running pictures
 * @param waiting pictures
 * @param reservedBytes of the passes that run
 * @param reservedKvBytes of their keys and values
 * @param batch most pictures of a pass
 * @param measuring whether that is still being measured, while nobody asks for pictures
 * @param sinceBeat time since the thread of each device was last seen alive, the longest
 * @param longestStep that a scale has taken
 * @param state whether they take jobs and can draw
 */
public record SchedulerStatus(
    int devices,
    int running,
    int waiting,
    long reservedBytes,
    long reservedKvBytes,
    int batch,
    boolean measuring,
    Duration sinceBeat,
    Duration longestStep,
    Health state) {
  /** Whether any device can draw. */
  public enum Health {
    MEASURING,
    READY,
    DRAINING,
    SUSPECT,
    BROKEN
  }
}
