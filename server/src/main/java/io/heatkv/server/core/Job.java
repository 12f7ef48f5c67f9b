package io.heatkv.server.core;

import io.heatkv.GenerationRequest;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Pictures that someone asked for, from the queue to their files. Any thread may follow it. */
public final class Job {
  /** How far a job is. */
  public enum State {
    WAITING,
    RUNNING,
    DONE,
    FAILED,
    CANCELLED;

    /** Whether nothing follows. */
    public boolean isEnd() {
      return compareTo(DONE) >= 0;
    }
  }

  private final Form form;
  private final List<PictureRequest> pictures;
  private final int partials;
  private final Encoding encoding;
  private final long submitted = System.nanoTime();
  private final List<JobEvent> events = new ArrayList<>();
  private final List<Consumer<JobEvent>> followers = new ArrayList<>();
  private CompletableFuture<Void> encoded = CompletableFuture.completedFuture(null);
  private State state = State.WAITING;
  private int left;
  private long bytes;

  /**
   * @param pictures one or more of the same form
   * @param partials to be shown of each picture before it is done
   * @throws UserException if pictures don't fit each other
   */
  public Job(Form form, List<PictureRequest> pictures, int partials, Encoding encoding) {
    this.form = form;
    this.pictures = new GenerationRequest(pictures, form.grids(), form.policy()).pictures();
    this.partials = partials;
    this.encoding = encoding;
    left = pictures.size();
  }

  public Form form() {
    return form;
  }

  public List<PictureRequest> pictures() {
    return pictures;
  }

  public Encoding encoding() {
    return encoding;
  }

  int partials() {
    return partials;
  }

  /** When it was made, by {@link System#nanoTime}. */
  public long submitted() {
    return submitted;
  }

  public synchronized State state() {
    return state;
  }

  /** Bytes of the files that it holds. */
  public synchronized long bytes() {
    return bytes;
  }

  /** All that happened so far. */
  public synchronized List<JobEvent> events() {
    return List.copyOf(events);
  }

  /**
   * Tells of all that happened and will happen, in order, by whichever thread makes it happen: the
   * follower must not wait.
   */
  public synchronized void follow(Consumer<JobEvent> follower) {
    events.forEach(follower);
    if (!state.isEnd()) {
      followers.add(follower);
    }
  }

  /** Tells a follower no more. */
  public synchronized void unfollow(Consumer<JobEvent> follower) {
    followers.remove(follower);
  }

  synchronized void started() {
    if (state == State.WAITING) {
      state = State.RUNNING;
    }
  }

  synchronized void add(JobEvent event) {
    if (state.isEnd()) {
      return;
    }
    switch (event) {
      case JobEvent.Partial partial -> bytes += partial.image().length;
      case JobEvent.Drawn drawn -> bytes += drawn.image().length;
      default -> {}
    }
    tell(event);
    if (event instanceof JobEvent.Drawn && --left == 0) {
      end(State.DONE, null);
    }
  }

  /** Adds an event that takes time to make, after those that are being made. */
  synchronized void addLater(Executor executor, Supplier<JobEvent> event) {
    encoded =
        encoded.thenRunAsync(
            () -> {
              if (!state().isEnd()) {
                try {
                  add(event.get());
                } catch (RuntimeException e) {
                  fail(e);
                }
              }
            },
            executor);
  }

  void fail(Throwable problem) {
    end(State.FAILED, problem);
  }

  /** Whether it was still to be cancelled. */
  boolean cancel() {
    return end(State.CANCELLED, null);
  }

  private synchronized boolean end(State how, @Nullable Throwable problem) {
    if (state.isEnd()) {
      return false;
    }
    state = how;
    tell(new JobEvent.Ended(how, Optional.ofNullable(problem)));
    followers.clear();
    return true;
  }

  private void tell(JobEvent event) {
    events.add(event);
    List.copyOf(followers).forEach(follower -> follower.accept(event));
  }
}
