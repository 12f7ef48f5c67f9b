package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.Room;
import org.jspecify.annotations.Nullable;

/** What recordings ask of a device's driver. */
interface GraphDriver {
  /** The stream that libtorch queues the calling thread's work on. */
  long stream();

  /** Memory for what is recorded, or null where there is none; taken at most once. */
  @Nullable Room room();

  /** From now on kernels of the calling thread aren't run, but recorded. */
  void begin();

  /**
   * Ends that, if it began.
   *
   * @return a graph, or 0 if there is none of what was queued
   */
  long end();

  /** Queues a graph on libtorch's stream. */
  void launch(long graph);

  /** Queues a copy of the device's memory there. */
  void copy(long target, long source, long bytes);

  /** Frees a graph, once it has run. */
  void free(long graph);

  /** Gives the memory back. */
  void close();
}
