package io.heatkv;

import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.FirstPass;
import io.heatkv.load.ModelDescription;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One model on several devices of a host, which share its work.
 *
 * <p>Work is numbered tasks, such as passes of pictures. A thread for each device takes the next
 * one as soon as it is free; results come back in the order of their numbers. What a task computes
 * is up to its number, never to the device that takes it, so that results are the same on any
 * number of devices of one kind.
 */
public final class DevicePool implements AutoCloseable {
  // Finished tasks that wait for an earlier one, or for whoever takes them, keep their results.
  private static final int AHEAD = 2;

  private final List<ImageGenerator> generators;
  private final List<Worker> workers;

  /**
   * What is computed of a task.
   *
   * @param <T> its result, never null
   */
  @FunctionalInterface
  public interface Work<T> {
    /**
     * Runs a task on a device's thread.
     *
     * @param generator the model on that device
     * @param isStopped true once the result won't be taken, since an earlier task failed; asked
     *     between scales to end this one with any exception
     */
    T run(ImageGenerator generator, int task, BooleanSupplier isStopped);
  }

  private DevicePool(List<ImageGenerator> generators, List<Worker> workers) {
    this.generators = List.copyOf(generators);
    this.workers = List.copyOf(workers);
  }

  /** A pool of models that are loaded already, at least one; closing it closes them. */
  public static DevicePool of(List<ImageGenerator> generators) {
    if (generators.isEmpty()) {
      throw new IllegalArgumentException("a pool without a device");
    }
    return new DevicePool(
        generators,
        generators.stream().map(generator -> new Worker(generator.model().device())).toList());
  }

  /**
   * Loads a model onto each device, onto all at once: a file is mapped once, and its pages are read
   * once. The description stays the caller's, who closes it after this.
   *
   * @param devices at least one; one that is named twice has the model twice
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file is missing, damaged, or belongs to another model
   */
  public static DevicePool load(
      ModelDescription description, Backend backend, List<Device> devices, DType dtype) {
    return load(description, backend, devices, dtype, Optional.empty());
  }

  /**
   * As above. While weights are loaded, the threads that will draw make the libraries load and plan
   * what a first request takes, which takes long on CUDA alone.
   *
   * @param first one like the first that each device will draw
   */
  public static DevicePool load(
      ModelDescription description,
      Backend backend,
      List<Device> devices,
      DType dtype,
      Optional<GenerationRequest> first) {
    List<Worker> workers = devices.stream().map(Worker::new).toList();
    List<Future<ImageGenerator>> loading = new ArrayList<>();
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      for (int i = 0; i < devices.size(); i++) {
        Device device = devices.get(i);
        Executor drawing = workers.get(i).thread;
        first.ifPresent(request ->
            drawing.execute(() ->
                FirstPass.attempt(() -> attend(description, backend, device, dtype, request))));
        Optional<FirstPass> pass =
            first.map(request ->
                new FirstPass(
                    request.pictures(),
                    request.grids(),
                    part -> Thread.ofPlatform().name("rehearsal").start(part)));
        loading.add(
            threads.submit(() -> new ImageGenerator(description, backend, device, dtype, pass)));
      }
    }
    List<ImageGenerator> loaded = new ArrayList<>();
    @Nullable Throwable problem = null;
    for (Future<ImageGenerator> each : loading) {
      if (each.state() == Future.State.SUCCESS) {
        loaded.add(each.resultNow());
      } else if (problem == null) {
        problem = each.exceptionNow();
      }
    }
    if (problem != null) {
      workers.forEach(Worker::close);
      loaded.forEach(ImageGenerator::close);
      throw unchecked(problem);
    }
    return new DevicePool(loaded, workers);
  }

  /**
   * Attends to zeros of a request's shapes, of one layer. Each shape that cuDNN attends to is
   * planned once, which takes as long as a quarter of all scales.
   */
  private static void attend(
      ModelDescription description,
      Backend backend,
      Device device,
      DType dtype,
      GenerationRequest request) {
    KvShape shape = request.kvShape(description, dtype);
    // Of the size that is drawn with: plans depend on where rows lie.
    try (KvCache cache = request.policy().plan(shape).open(backend, device)) {
      for (int scale = 0; scale < shape.grids().count(); scale++) {
        try (Scope _ = Scope.open()) {
          Tensor projected =
              Tensor.full(
                  backend,
                  0,
                  dtype,
                  device,
                  shape.batch(),
                  shape.grids().tokens(scale),
                  3,
                  shape.heads(),
                  shape.headDim());
          // As a projection's parts lie: plans depend on strides.
          Tensor zeros = projected.select(2, 0).transpose(1, 2);
          Tensor _ = cache.attend(0, scale, zeros, zeros, zeros);
        }
      }
      backend.synchronize(device);
    }
  }

  /** The models, one for each device. */
  public List<ImageGenerator> generators() {
    return generators;
  }

  /** Names of the devices, such as {@code cuda:0,cuda:1}. */
  public String devices() {
    return generators.stream()
        .map(each -> each.model().device().toString())
        .collect(Collectors.joining(","));
  }

  /** The model on the first device, to ask what is the same on all. */
  public ImageGenerator first() {
    return generators.getFirst();
  }

  /**
   * Runs tasks {@code 0 … tasks - 1}. If one fails, those before it are still finished and taken,
   * those after it aren't, and its exception is thrown, as if all ran one after another.
   *
   * @param done takes each result, in their order, on the calling thread while others are computed;
   *     what it throws ends all
   */
  public <T> void run(int tasks, Work<T> work, Consumer<? super T> done) {
    Run<T> run = new Run<>(tasks, AHEAD * generators.size());
    List<CompletableFuture<Void>> threads = new ArrayList<>();
    for (int i = 0; i < generators.size(); i++) {
      ImageGenerator generator = generators.get(i);
      threads.add(workers.get(i).begin(() -> run.work(generator, work)));
    }
    try {
      run.deliver(done);
    } finally {
      run.stop();
      // The models may be closed only after their threads; interrupts wait.
      threads.forEach(CompletableFuture::join);
    }
  }

  private static RuntimeException unchecked(Throwable problem) {
    if (problem instanceof Error error) {
      throw error;
    }
    return problem instanceof RuntimeException known ? known : new IllegalStateException(problem);
  }

  /** Closes all models. */
  @Override
  public void close() {
    workers.forEach(Worker::close);
    generators.forEach(ImageGenerator::close);
  }

  /**
   * A device's thread, which serves one run after another, since it knows what libraries planned; a
   * run that begins before another has ended gets a thread of its own.
   */
  private static final class Worker implements AutoCloseable {
    private final ThreadFactory factory;
    private final ExecutorService thread;
    private final AtomicBoolean isTaken = new AtomicBoolean();

    Worker(Device device) {
      factory = Thread.ofPlatform().daemon().name(device.toString()).factory();
      thread = Executors.newSingleThreadExecutor(factory);
    }

    CompletableFuture<Void> begin(Runnable task) {
      if (!isTaken.compareAndSet(false, true)) {
        return CompletableFuture.runAsync(task, command -> factory.newThread(command).start());
      }
      return CompletableFuture.runAsync(
          () -> {
            try {
              task.run();
            } finally {
              isTaken.set(false);
            }
          },
          thread);
    }

    @Override
    public void close() {
      thread.close();
    }
  }

  /** Tasks that are handed out and taken back. */
  private static final class Run<T> {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final int ahead;
    // Guarded by the lock.
    private final Map<Integer, T> results = new HashMap<>();
    private int next;
    private int delivered;
    private @Nullable Throwable problem;
    // Tasks from here on aren't asked for: there are no more, or this one failed.
    private volatile int end;

    Run(int tasks, int ahead) {
      this.end = tasks;
      this.ahead = ahead;
    }

    void work(ImageGenerator generator, Work<T> work) {
      for (int task = take(); task >= 0; task = take()) {
        int own = task;
        try {
          finish(task, work.run(generator, task, () -> own >= end));
        } catch (Throwable e) {
          fail(task, e);
        }
      }
    }

    /** The next task, or -1 if there is none. */
    private int take() {
      lock.lock();
      try {
        while (next < end && next >= delivered + ahead) {
          changed.awaitUninterruptibly();
        }
        return next < end ? next++ : -1;
      } finally {
        lock.unlock();
      }
    }

    private void finish(int task, T result) {
      lock.lock();
      try {
        results.put(task, result);
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }

    private void fail(int task, Throwable e) {
      lock.lock();
      try {
        // What a later task says may only be that it was stopped.
        if (task < end) {
          end = task;
          problem = e;
          changed.signalAll();
        }
      } finally {
        lock.unlock();
      }
    }

    /** Hands over the results in their order, then throws what ended them. */
    void deliver(Consumer<? super T> done) {
      for (int task = 0; await(task); task++) {
        done.accept(result(task));
      }
      lock.lock();
      try {
        if (problem != null) {
          throw unchecked(problem);
        }
      } finally {
        lock.unlock();
      }
    }

    /** Waits for a task; false if there is none. */
    private boolean await(int task) {
      lock.lock();
      try {
        delivered = task;
        changed.signalAll();
        while (task < end && !results.containsKey(task)) {
          changed.awaitUninterruptibly();
        }
        return task < end;
      } finally {
        lock.unlock();
      }
    }

    private T result(int task) {
      lock.lock();
      try {
        return Objects.requireNonNull(results.remove(task));
      } finally {
        lock.unlock();
      }
    }

    /** Ends what is left. */
    void stop() {
      lock.lock();
      try {
        end = 0;
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }
}
