package io.heatkv.server.core;

import java.util.List;
import java.util.Optional;

/** What became of a job, in order; the last is {@link Ended}. */
public sealed interface JobEvent {
  /**
   * A scale of a picture is drawn.
   *
   * @param picture its index in the job
   * @param scale index
   * @param scales of the picture
   */
  record ScaleDrawn(int picture, int scale, int scales) implements JobEvent {}

  /**
   * What a picture shows before it is done, as large as its scale.
   *
   * @param index of this one among those of the picture
   * @param image bytes of a file
   */
  record Partial(int picture, int index, int scale, int width, int height, byte[] image)
      implements JobEvent {}

  /**
   * A picture is done.
   *
   * @param image bytes of a file
   * @param kvBytes of keys and values that it took
   * @param fullKvBytes that the full cache takes
   * @param batch pictures that shared its pass
   * @param seconds that the pass took
   * @param warnings for the user
   */
  record Drawn(
      int picture,
      long seed,
      int width,
      int height,
      byte[] image,
      long kvBytes,
      long fullKvBytes,
      int batch,
      double seconds,
      List<String> warnings)
      implements JobEvent {}

  /**
   * Nothing follows.
   *
   * @param state how it ended
   * @param problem where it failed
   */
  record Ended(Job.State state, Optional<Throwable> problem) implements JobEvent {}
}
