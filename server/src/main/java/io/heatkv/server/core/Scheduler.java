package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import io.heatkv.server.core.Refusal.Reason;
import io.heatkv.server.core.SchedulerStatus.Health;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * Devices, the thread that owns each, and the pictures that wait for them.
 *
 * <p>A job is accepted only if a pass of each of its pictures fits the {@link Limits}; bytes of a
 * pass are known before it begins, so that none ever fails for memory. The picture that waits
 * longest goes first, and all that are of its {@link Form} share its pass as far as they fit, and
 * as far as no other device is free for them. A device runs one pass at a time. A cancelled picture
 * leaves at the next scale.
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
  private final List<Worker> workers = new ArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  // Guarded by the lock.
  private final List<QueuedPicture> queue = new ArrayList<>();
  private boolean draining;
  private boolean closing;
  private volatile boolean drawn;
  // That of late.
  private volatile Form usual;

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
    for (NextScaleModel network : model.models()) {
      // What one measures holds for all, which are alike; the others only warm up.
      int tried = workers.isEmpty() ? most : 1;
      workers.add(new Worker(network, new BatchMeasurement(network, usual, sample, tried)));
    }
  }

  /**
   * Starts the threads. While nobody asks for pictures they warm up, and one measures how many are
   * drawn best at once.
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
    limits.require(usual);
    Scheduler scheduler = new Scheduler(model, limits, listener, usual, sample);
    scheduler.workers.forEach(worker -> worker.thread.start());
    return scheduler;
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
      if (usable() == 0) {
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
            durationOf(queue.size() + pictures - limits.waiting() + running()),
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
          return i + running();
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
      int last = running();
      for (int i = 0; i < queue.size(); i++) {
        if (queue.get(i).job() == job) {
          last = running() + i + 1;
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
    double each = seconds / Math.max(1, usable());
    return Duration.ofMillis((long) (1e3 * Math.max(seconds, each * pictures)));
  }

  public SchedulerStatus status() {
    lock.lock();
    try {
      return new SchedulerStatus(
          usable(),
          running(),
          queue.size(),
          workers.stream().mapToLong(worker -> worker.reservedBytes).sum(),
          workers.stream().mapToLong(worker -> worker.reservedKvBytes).sum(),
          batch(),
          limits.batch() == 0 && !workers.getFirst().measurement.isDone(),
          longest(Heartbeat::age),
          longest(Heartbeat::longestStep),
          health());
    } finally {
      lock.unlock();
    }
  }

  private int usable() {
    return (int) workers.stream().filter(Worker::isUsable).count();
  }

  private int running() {
    return workers.stream().mapToInt(worker -> worker.running.size()).sum();
  }

  private Duration longest(Function<Heartbeat, Duration> time) {
    return workers.stream()
        .filter(worker -> worker.isUsable() || usable() == 0)
        .map(worker -> time.apply(worker.heartbeat))
        .max(Comparator.naturalOrder())
        .orElseThrow();
  }

  private Health health() {
    if (usable() == 0) {
      return Health.BROKEN;
    }
    if (draining) {
      return Health.DRAINING;
    }
    if (workers.stream().filter(Worker::isUsable).allMatch(worker -> worker.suspect)) {
      return Health.SUSPECT;
    }
    return drawn ? Health.READY : Health.MEASURING;
  }

  /** Most pictures of a pass. */
  private int batch() {
    return limits.batch() > 0 ? limits.batch() : workers.getFirst().measurement.batch();
  }

  private boolean hasWork() {
    lock.lock();
    try {
      return closing || !queue.isEmpty();
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

  /** A device and the thread that owns it. */
  private final class Worker {
    private final NextScaleModel network;
    private final BatchMeasurement measurement;
    private final Heartbeat heartbeat = new Heartbeat();
    private final Thread thread;
    // Guarded by the lock.
    private List<QueuedPicture> running = List.of();
    private long reservedBytes;
    private long reservedKvBytes;
    private boolean broken;
    private volatile boolean suspect;

    Worker(NextScaleModel network, BatchMeasurement measurement) {
      this.network = network;
      this.measurement = measurement;
      thread = Thread.ofPlatform().name(network.device().toString()).unstarted(this::run);
    }

    boolean isUsable() {
      return !broken && thread.isAlive();
    }

    private void run() {
      try {
        while (true) {
          List<QueuedPicture> pass = take();
          if (isOver()) {
            return;
          }
          if (pass.isEmpty()) {
            drawn |= measurement.step(Scheduler.this::hasWork, heartbeat);
          } else {
            draw(pass);
          }
        }
      } catch (RuntimeException | Error e) {
        breakDown(e);
      }
    }

    private boolean isOver() {
      lock.lock();
      try {
        return closing || broken;
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
          if (closing || broken) {
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
          List<QueuedPicture> same =
              queue.stream().filter(each -> each.job().form() == form).toList();
          long left = limits.window().toNanos() - (System.nanoTime() - first.since());
          if (same.size() < most && left > 0 && !draining) {
            await(left);
            continue;
          }
          int share = Math.ceilDiv(same.size(), idle());
          List<QueuedPicture> pass = same.subList(0, Math.min(most, share));
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
          new SharedPass(model, network, listener, encoders, heartbeat, left).draw();
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
      GenerationRequest probe = SharedPass.request(pass.subList(0, 1));
      try (Generation generation = Generation.open(network, probe)) {
        generation.step();
      } catch (RuntimeException | Error e) {
        e.addSuppressed(problem);
        breakDown(e);
        return;
      }
      suspect = false;
      listener.deviceFailed(problem, true);
    }

    /** It can't draw any more; without another one, nothing can be drawn. */
    private void breakDown(Throwable problem) {
      List<QueuedPicture> lost;
      boolean usable;
      lock.lock();
      try {
        broken = true;
        lost = new ArrayList<>(running);
        usable = usable() > 0;
        if (!usable) {
          closing = true;
          lost.addAll(queue);
          queue.clear();
        }
        changed.signalAll();
      } finally {
        lock.unlock();
      }
      lost.forEach(each -> each.job().fail(problem));
      listener.deviceFailed(problem, usable);
    }
  }

  /** Devices that could take a pass now, that of the calling thread among them. */
  private int idle() {
    return Math.max(
        1,
        (int)
            workers.stream()
                .filter(worker -> worker.isUsable() && worker.running.isEmpty())
                .count());
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
      while (!queue.isEmpty() || running() > 0) {
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

  /** Cancels what is left and waits for the scales at hand. */
  @Override
  public void close() {
    Set<Job> left = new HashSet<>();
    lock.lock();
    try {
      draining = true;
      closing = true;
      queue.forEach(each -> left.add(each.job()));
      workers.forEach(worker -> worker.running.forEach(each -> left.add(each.job())));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    left.forEach(this::cancel);
    try {
      for (Worker worker : workers) {
        worker.thread.join();
      }
      encoders.shutdown();
      boolean _ = encoders.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
