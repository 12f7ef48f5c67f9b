package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.server.core.Refusal.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One device, the thread that owns it, and the pictures that wait for it.
 *
 * <p>A job is accepted only if a pass of each of its pictures fits the {@link Limits}; bytes of a
 * pass are known before it begins, so that none ever fails for memory. The picture that waits
 * longest goes first, and all that are of its {@link Form} share its pass as far as they fit. Only
 * one pass runs at a time. A cancelled picture leaves at the next scale.
 */
public final class Scheduler implements AutoCloseable {
  private static final long BEAT_MILLIS = 250;
  private static final double FIRST_GUESS_SECONDS = 1;

  private final ServedModel model;
  private final Limits limits;
  private final SchedulerListener listener;
  private final ExecutorService encoders =
      Executors.newFixedThreadPool(
          Math.max(1, Runtime.getRuntime().availableProcessors() / 2),
          Thread.ofPlatform().daemon().name("encode-", 0).factory());
  private final Thread device;
  private final BatchMeasurement measurement;
  private final Heartbeat heartbeat = new Heartbeat();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  // Guarded by the lock.
  private final List<QueuedPicture> queue = new ArrayList<>();
  private List<QueuedPicture> running = List.of();
  private boolean draining;
  private boolean closing;
  private @Nullable Throwable broken;
  private volatile boolean suspect;
  private volatile boolean drawn;
  // That of late.
  private volatile Form usual;
  private volatile long reservedBytes;
  private volatile long reservedKvBytes;

  /**
   * What a device is doing.
   *
   * @param running pictures
   * @param waiting pictures
   * @param reservedBytes of the pass that runs
   * @param reservedKvBytes of its keys and values
   * @param batch most pictures of a pass
   * @param measuring whether that is still being measured, while nobody asks for pictures
   * @param sinceBeat time since the device's thread was last seen alive
   * @param longestStep that a scale has taken
   * @param state whether it takes jobs and can draw
   */
  public record Status(
      int running,
      int waiting,
      long reservedBytes,
      long reservedKvBytes,
      int batch,
      boolean measuring,
      Duration sinceBeat,
      Duration longestStep,
      Health state) {}

  /** Whether a device can draw. */
  public enum Health {
    MEASURING,
    READY,
    DRAINING,
    SUSPECT,
    BROKEN
  }

  private Scheduler(
      ServedModel model,
      Limits limits,
      SchedulerListener listener,
      Form usual,
      PictureRequest sample) {
    this.model = model;
    this.limits = limits;
    this.listener = listener;
    this.usual = usual;
    int most =
        limits.batch() > 0
            ? 1
            : limits.largest(usual, Math.min(limits.waiting(), Limits.LARGEST_BATCH));
    measurement = new BatchMeasurement(model.model(), usual, sample, most);
    device = Thread.ofPlatform().name("device").unstarted(this::run);
  }

  /**
   * Starts the thread. While nobody asks for pictures it warms up and measures how many are drawn
   * best at once.
   *
   * @param usual form to measure
   * @param sample a picture of that form
   * @throws UserException if it doesn't fit
   */
  public static Scheduler start(
      ServedModel model,
      Limits limits,
      SchedulerListener listener,
      Form usual,
      PictureRequest sample) {
    if (!limits.allow(usual, 1)) {
      throw new UserException(
          "a picture takes %.1f MiB for keys and values and %.1f MiB in all, there are %.1f and %.1f; choose a smaller KV budget or model, or allow more memory"
              .formatted(
                  mib(usual.need(1).cache()),
                  mib(usual.need(1).total()),
                  mib(limits.kvBytes()),
                  mib(limits.bytes())));
    }
    Scheduler scheduler = new Scheduler(model, limits, listener, usual, sample);
    scheduler.device.start();
    return scheduler;
  }

  private static double mib(long bytes) {
    return bytes / (double) (1 << 20);
  }

  /**
   * Queues a job.
   *
   * @throws UserException if it can never be drawn here
   * @throws Refusal if it can't be taken now
   */
  public void submit(Job job) {
    int pictures = job.pictures().size();
    if (!limits.allow(job.form(), 1)) {
      throw new IllegalArgumentException("a form that doesn't fit was to be refused before");
    }
    lock.lock();
    try {
      if (broken != null) {
        throw new Refusal(
            Reason.DEVICE_FAILED, Duration.ofSeconds(30), "the device failed; restart the server");
      }
      if (draining) {
        throw new Refusal(
            Reason.DRAINING, Duration.ofSeconds(30), "the server is stopping; try again later");
      }
      if (queue.size() + pictures > limits.waiting()) {
        throw new Refusal(
            Reason.QUEUE_FULL,
            durationOf(queue.size() + pictures - limits.waiting() + running.size()),
            "%d of %d places in the queue are taken; try again later"
                .formatted(queue.size(), limits.waiting()));
      }
      for (int i = 0; i < pictures; i++) {
        queue.add(new QueuedPicture(job, i, System.nanoTime()));
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Whether a picture of a form could ever be drawn. */
  public boolean fits(Form form) {
    return limits.allow(form, 1);
  }

  public Limits limits() {
    return limits;
  }

  /** Cancels what is left of a job: waiting pictures now, running ones at the next scale. */
  public void cancel(Job job) {
    Job.State phase = job.state();
    if (job.cancel()) {
      listener.cancelled(phase);
      lock.lock();
      try {
        queue.removeIf(waiting -> waiting.job() == job);
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Pictures that go before the first waiting one of a job; 0 where none of it waits. */
  public int ahead(Job job) {
    lock.lock();
    try {
      for (int i = 0; i < queue.size(); i++) {
        if (queue.get(i).job() == job) {
          return i + running.size();
        }
      }
      return 0;
    } finally {
      lock.unlock();
    }
  }

  /** How long a job will take from now, by what pictures took of late. */
  public Duration estimate(Job job) {
    lock.lock();
    try {
      int last = running.size();
      for (int i = 0; i < queue.size(); i++) {
        if (queue.get(i).job() == job) {
          last = running.size() + i + 1;
        }
      }
      return durationOf(last);
    } finally {
      lock.unlock();
    }
  }

  private Duration durationOf(int pictures) {
    double seconds =
        usual.secondsPerPicture() > 0 ? usual.secondsPerPicture() : FIRST_GUESS_SECONDS;
    return Duration.ofMillis((long) (1e3 * seconds * Math.max(1, pictures)));
  }

  public Status status() {
    lock.lock();
    try {
      return new Status(
          running.size(),
          queue.size(),
          reservedBytes,
          reservedKvBytes,
          batch(),
          limits.batch() == 0 && !measurement.isDone(),
          heartbeat.age(),
          heartbeat.longestStep(),
          health());
    } finally {
      lock.unlock();
    }
  }

  private Health health() {
    if (broken != null || !device.isAlive()) {
      return Health.BROKEN;
    }
    if (draining) {
      return Health.DRAINING;
    }
    if (suspect) {
      return Health.SUSPECT;
    }
    return drawn ? Health.READY : Health.MEASURING;
  }

  private void run() {
    try {
      while (true) {
        List<QueuedPicture> pass = take();
        if (isClosing()) {
          return;
        }
        if (pass.isEmpty()) {
          drawn |= measurement.step(this::hasWork, heartbeat);
        } else {
          draw(pass);
        }
      }
    } catch (RuntimeException | Error e) {
      breakDown(e);
    }
  }

  /** Most pictures of a pass. */
  private int batch() {
    return limits.batch() > 0 ? limits.batch() : measurement.batch();
  }

  private boolean hasWork() {
    lock.lock();
    try {
      return closing || !queue.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  private boolean isClosing() {
    lock.lock();
    try {
      return closing;
    } finally {
      lock.unlock();
    }
  }

  /** The next pictures to draw together; none when there is time to measure, or it is closed. */
  private List<QueuedPicture> take() {
    lock.lock();
    try {
      while (true) {
        heartbeat.beat();
        if (closing) {
          return List.of();
        }
        if (queue.isEmpty()) {
          if (!measurement.isDone()) {
            return List.of();
          }
          await(TimeUnit.MILLISECONDS.toNanos(BEAT_MILLIS));
          continue;
        }
        QueuedPicture first = queue.getFirst();
        Form form = first.job().form();
        int most = limits.largest(form, batch());
        List<QueuedPicture> pass =
            queue.stream().filter(each -> each.job().form() == form).limit(most).toList();
        long left = limits.window().toNanos() - (System.nanoTime() - first.since());
        if (pass.size() < most && left > 0 && !draining) {
          await(left);
          continue;
        }
        queue.removeAll(new HashSet<>(pass));
        running = pass;
        reservedKvBytes = form.need(pass.size()).cache();
        reservedBytes = form.need(pass.size()).total();
        return pass;
      }
    } finally {
      lock.unlock();
    }
  }

  @SuppressWarnings("WaitNotInLoop") // All callers ask again.
  private void await(long nanos) {
    try {
      long _ = changed.awaitNanos(nanos);
    } catch (InterruptedException _) {
      // Nobody interrupts this thread; closing says so by a flag.
    }
  }

  private void draw(List<QueuedPicture> pass) {
    try {
      drawOrFail(pass);
    } finally {
      lock.lock();
      try {
        running = List.of();
        reservedBytes = 0;
        reservedKvBytes = 0;
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  private void drawOrFail(List<QueuedPicture> pass) {
    List<QueuedPicture> left = pass.stream().filter(each -> !each.job().state().isEnd()).toList();
    try {
      if (!left.isEmpty()) {
        new SharedPass(model, listener, encoders, heartbeat, left).draw();
        drawn = true;
        usual = left.getFirst().job().form();
      }
    } catch (UserException e) {
      drawApart(left, e);
    } catch (RuntimeException | Error e) {
      failed(left, e);
    }
  }

  /** One of the pictures is wrong: the others don't suffer. */
  private void drawApart(List<QueuedPicture> pass, UserException problem) {
    Set<Job> jobs = new HashSet<>();
    pass.forEach(each -> jobs.add(each.job()));
    if (jobs.size() == 1) {
      jobs.iterator().next().fail(problem);
      return;
    }
    for (Job job : jobs) {
      drawOrFail(pass.stream().filter(each -> each.job() == job).toList());
    }
  }

  /** The pass is lost. A small picture tells whether the device still computes. */
  private void failed(List<QueuedPicture> pass, Throwable problem) {
    suspect = true;
    pass.forEach(each -> each.job().fail(problem));
    QueuedPicture first = pass.getFirst();
    GenerationRequest probe =
        new GenerationRequest(
            List.of(first.job().pictures().get(first.picture())),
            first.job().form().grids(),
            first.job().form().policy());
    try (Generation generation = Generation.open(model.model(), probe)) {
      generation.step();
    } catch (RuntimeException | Error e) {
      e.addSuppressed(problem);
      breakDown(e);
      return;
    }
    suspect = false;
    listener.deviceFailed(problem, true);
  }

  /** Nothing can be drawn any more. */
  private void breakDown(Throwable problem) {
    List<QueuedPicture> lost;
    lock.lock();
    try {
      broken = problem;
      closing = true;
      lost = new ArrayList<>(queue);
      lost.addAll(running);
      queue.clear();
    } finally {
      lock.unlock();
    }
    lost.forEach(each -> each.job().fail(problem));
    listener.deviceFailed(problem, false);
  }

  /**
   * Takes no more jobs and waits for those it has.
   *
   * @return whether all were drawn in time
   */
  public boolean drain(Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    lock.lock();
    try {
      draining = true;
      changed.signalAll();
      while (!queue.isEmpty() || !running.isEmpty()) {
        long left = end - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        await(left);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Cancels what is left and waits for the scale at hand. */
  @Override
  public void close() {
    Set<Job> left = new HashSet<>();
    lock.lock();
    try {
      draining = true;
      closing = true;
      queue.forEach(each -> left.add(each.job()));
      running.forEach(each -> left.add(each.job()));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    left.forEach(this::cancel);
    try {
      device.join();
      encoders.shutdown();
      boolean _ = encoders.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
