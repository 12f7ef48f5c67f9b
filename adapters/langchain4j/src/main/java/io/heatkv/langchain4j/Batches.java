package io.heatkv.langchain4j;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.batch.BatchError;
import dev.langchain4j.model.batch.BatchItemResult;
import dev.langchain4j.model.batch.BatchPage;
import dev.langchain4j.model.batch.BatchPagination;
import dev.langchain4j.model.batch.BatchResponse;
import dev.langchain4j.model.batch.BatchState;
import dev.langchain4j.model.output.Response;
import io.heatkv.GenerationListener;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/** Batches of prompts, drawn one after the other by a thread of their own. */
final class Batches implements AutoCloseable {
  // Codes of google.rpc.Code, which LangChain4j's batches have elsewhere, too.
  static final int CANCELLED = 1;
  static final int INVALID_ARGUMENT = 3;
  static final int INTERNAL = 13;

  private static final int KEPT = 100;
  private static final int PAGE = 20;

  private final BiFunction<String, GenerationListener, Response<Image>> draw;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("heatkv-batches").factory());
  private final Map<String, Batch> batches = new LinkedHashMap<>();

  /**
   * @param draw draws a prompt's picture, and ends where its listener says so
   */
  Batches(BiFunction<String, GenerationListener, Response<Image>> draw) {
    this.draw = draw;
  }

  /** Prompts and what became of them so far. */
  private static final class Batch implements GenerationListener {
    private final String id = UUID.randomUUID().toString();
    private final List<String> prompts;
    private final List<BatchItemResult<Response<Image>>> results = new ArrayList<>();
    private boolean started;
    private boolean cancelled;

    Batch(List<String> prompts) {
      this.prompts = prompts;
    }

    @Override
    public synchronized boolean isCancelled() {
      return cancelled;
    }

    synchronized void cancel() {
      cancelled |= !hasEnded();
      if (!started) {
        end();
      }
    }

    /** Whether there is something to draw. */
    synchronized boolean start() {
      started = true;
      return !cancelled;
    }

    synchronized void add(BatchItemResult<Response<Image>> result) {
      results.add(result);
    }

    /** What wasn't drawn was cancelled. */
    synchronized void end() {
      while (results.size() < prompts.size()) {
        results.add(failure(CANCELLED, "the batch was cancelled"));
      }
    }

    synchronized boolean hasEnded() {
      return results.size() == prompts.size();
    }

    synchronized BatchResponse<Response<Image>> response() {
      return BatchResponse.<Response<Image>>builder()
          .batchId(id)
          .state(state())
          .results(hasEnded() ? List.copyOf(results) : List.of())
          .build();
    }

    private BatchState state() {
      if (!hasEnded()) {
        return started ? BatchState.RUNNING : BatchState.PENDING;
      }
      if (cancelled) {
        return BatchState.CANCELLED;
      }
      return results.stream().anyMatch(BatchItemResult::isSuccess)
          ? BatchState.SUCCEEDED
          : BatchState.FAILED;
    }
  }

  private static BatchItemResult<Response<Image>> failure(int code, String message) {
    return BatchItemResult.failure(new BatchError(code, message, List.of()));
  }

  BatchResponse<Response<Image>> submit(List<String> prompts) {
    if (prompts.isEmpty()) {
      throw new InvalidRequestException("the batch has no prompt; give at least one");
    }
    Batch batch = new Batch(List.copyOf(prompts));
    synchronized (batches) {
      thread.execute(() -> draw(batch));
      batches.put(batch.id, batch);
      forget();
    }
    return batch.response();
  }

  /** Leaves the oldest that have ended. */
  private void forget() {
    List<Batch> ended = batches.values().stream().filter(Batch::hasEnded).toList();
    ended.stream().limit(Math.max(0, ended.size() - KEPT)).forEach(old -> batches.remove(old.id));
  }

  private void draw(Batch batch) {
    if (!batch.start()) {
      return;
    }
    for (String prompt : batch.prompts) {
      if (batch.isCancelled()) {
        break;
      }
      try {
        batch.add(BatchItemResult.success(draw.apply(prompt, batch)));
      } catch (CancellationException _) {
        break;
      } catch (InvalidRequestException e) {
        batch.add(failure(INVALID_ARGUMENT, String.valueOf(e.getMessage())));
      } catch (RuntimeException e) {
        batch.add(failure(INTERNAL, e.toString()));
      }
    }
    batch.end();
  }

  private Batch find(String id) {
    synchronized (batches) {
      Batch batch = batches.get(id);
      if (batch == null) {
        throw new InvalidRequestException(
            "batch '%s' is unknown; it was never submitted, or is no longer kept".formatted(id));
      }
      return batch;
    }
  }

  BatchResponse<Response<Image>> retrieve(String id) {
    return find(id).response();
  }

  void cancel(String id) {
    find(id).cancel();
  }

  BatchPage<Response<Image>> list(@Nullable BatchPagination pagination) {
    List<Batch> newest;
    synchronized (batches) {
      newest = List.copyOf(batches.values()).reversed();
    }
    Integer asked = pagination == null ? null : pagination.pageSize();
    String token = pagination == null ? null : pagination.pageToken();
    int size = asked == null ? PAGE : asked;
    if (size < 1) {
      throw new InvalidRequestException(
          "page size " + size + " is out of range; expected 1 or more");
    }
    int from = token == null ? 0 : newest.indexOf(find(token)) + 1;
    int to = Math.min(newest.size(), from + size);
    return new BatchPage<>(
        newest.subList(from, to).stream().map(Batch::response).toList(),
        to < newest.size() ? newest.get(to - 1).id : null);
  }

  /** Cancels all and waits for the scale at hand. */
  @Override
  public void close() {
    synchronized (batches) {
      batches.values().stream().filter(batch -> !batch.hasEnded()).forEach(Batch::cancel);
      thread.shutdown();
    }
    try {
      var _ = thread.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
