package io.heatkv.spark;

import io.heatkv.error.UserException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.rdd.RDD;
import org.jspecify.annotations.Nullable;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;
import scala.runtime.AbstractFunction2;
import scala.runtime.BoxedUnit;

/**
 * Inputs that are worked on one by one, each in a Spark task of its own. A result comes to the
 * driver as soon as it is there, so that it survives its executor.
 */
final class Tasks {
  // Spark ends a job whose results are more than spark.driver.maxResultSize, 1 GiB by default.
  private static final long JOB_BYTES = 256L << 20;
  // The second fills the cores that the last tasks of the first leave.
  private static final int JOBS = 2;
  private static final long POLL_MILLIS = 200;

  private static final byte RIGHT = 0;
  private static final byte WRONG = 1;

  private Tasks() {}

  /**
   * What is done with an input on an executor.
   *
   * @param <T> of the input
   */
  @FunctionalInterface
  interface Work<T> extends Serializable {
    /** A result as bytes, which any serializer carries. */
    byte[] run(T input);
  }

  /**
   * Runs all, and hands over the results in the order of the inputs, on the calling thread.
   *
   * @param resultBytes of a result, about
   * @throws UserException if the work throws one
   * @throws CancellationException if it was cancelled
   */
  static <T extends Serializable> void run(
      JavaSparkContext spark,
      List<T> inputs,
      long resultBytes,
      Work<T> work,
      Consumer<byte[]> done,
      BooleanSupplier isCancelled) {
    String group = "heatkv-" + UUID.randomUUID();
    int wave = Math.clamp(JOB_BYTES / Math.max(1, resultBytes), 1, 10_000);
    BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    ExecutorService jobs = Executors.newFixedThreadPool(JOBS);
    try {
      for (int from = 0; from < inputs.size(); from += wave) {
        int first = from;
        List<T> part = inputs.subList(from, Math.min(from + wave, inputs.size()));
        jobs.submit(() -> {
          try {
            run(spark, group, List.copyOf(part), work, first, events);
          } catch (Throwable e) {
            events.add(new Failed(e));
          }
        });
      }
      take(inputs.size(), events, done, isCancelled);
    } finally {
      jobs.shutdownNow();
      spark.sc().cancelJobGroupAndFutureJobs(group);
    }
  }

  private sealed interface Event {}

  private record Done(int task, byte[] result) implements Event {}

  private record Failed(Throwable problem) implements Event {}

  private static void take(
      int tasks, BlockingQueue<Event> events, Consumer<byte[]> done, BooleanSupplier isCancelled) {
    Map<Integer, byte[]> early = new HashMap<>();
    int next = 0;
    while (next < tasks) {
      if (isCancelled.getAsBoolean()) {
        throw new CancellationException("the job was cancelled");
      }
      byte[] result = early.remove(next);
      if (result != null) {
        done.accept(right(result));
        next++;
        continue;
      }
      switch (poll(events)) {
        case null -> {}
        case Failed failed -> throw unchecked(failed.problem);
        case Done finished -> early.put(finished.task, finished.result);
      }
    }
  }

  private static @Nullable Event poll(BlockingQueue<Event> events) {
    try {
      return events.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (CancellationException) new CancellationException("interrupted").initCause(e);
    }
  }

  private static RuntimeException unchecked(Throwable problem) {
    return problem instanceof RuntimeException known
        ? known
        : new IllegalStateException("the Spark job failed: " + problem.getMessage(), problem);
  }

  private static byte[] right(byte[] result) {
    byte[] rest = Arrays.copyOfRange(result, 1, result.length);
    if (result[0] == WRONG) {
      throw new UserException(new String(rest, StandardCharsets.UTF_8));
    }
    return rest;
  }

  private static <T extends Serializable> void run(
      JavaSparkContext spark,
      String group,
      List<T> inputs,
      Work<T> work,
      int first,
      BlockingQueue<Event> events) {
    spark.setJobGroup(group, "heatkv", true);
    RDD<byte[]> results =
        spark.parallelize(inputs, inputs.size()).map(input -> tagged(work, input)).rdd();
    spark
        .sc()
        .runJob(
            results,
            new Only(),
            CollectionConverters.asScala(
                    IntStream.range(0, inputs.size()).<Object>mapToObj(i -> i).toList())
                .toSeq(),
            new AbstractFunction2<Object, byte[], BoxedUnit>() {
              @Override
              public BoxedUnit apply(Object partition, byte[] result) {
                events.add(new Done(first + (Integer) partition, result));
                return BoxedUnit.UNIT;
              }
            },
            ClassTag.apply(byte[].class));
  }

  /** What a user can mend is a result: no other executor would do better. */
  private static <T> byte[] tagged(Work<T> work, T input) {
    try {
      return tagged(RIGHT, work.run(input));
    } catch (UserException e) {
      return tagged(WRONG, DrawnRows.line(e).getBytes(StandardCharsets.UTF_8));
    }
  }

  private static byte[] tagged(byte tag, byte[] content) {
    byte[] all = new byte[content.length + 1];
    all[0] = tag;
    System.arraycopy(content, 0, all, 1, content.length);
    return all;
  }

  /** The result of a partition. */
  private static final class Only extends AbstractFunction2<TaskContext, Iterator<byte[]>, byte[]>
      implements Serializable {
    private static final long serialVersionUID = 1L;

    @Override
    public byte[] apply(TaskContext context, Iterator<byte[]> results) {
      return results.next();
    }
  }
}
