package io.heatkv.server.http;

import io.heatkv.server.core.Job;
import io.heatkv.server.core.JobEvent;
import io.heatkv.server.core.Scheduler;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpMethod;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/** Jobs, which outlive the connection that asked for them. */
final class JobEndpoint {
  private static final long PLACE_MILLIS = 1000;
  private static final long SWEEP_MILLIS = 10_000;

  private final Vertx vertx;
  private final Scheduler scheduler;
  private final JobStore store;

  JobEndpoint(Vertx vertx, Scheduler scheduler, JobStore store) {
    this.vertx = vertx;
    this.scheduler = scheduler;
    this.store = store;
    long _ = vertx.setPeriodic(SWEEP_MILLIS, _ -> store.sweep());
  }

  /** Answers that a job is queued. */
  void create(Exchange exchange, String owner, ImagesRequest.Read read) {
    JobStore.Entry entry = store.add(owner, read.job(), read.size());
    exchange.response().putHeader("Location", "/v1/jobs/" + entry.id());
    exchange.json(202, describe(entry));
  }

  /**
   * Answers what is asked of one job.
   *
   * @param rest its id, or that and {@code /events}
   */
  void handle(Exchange exchange, String owner, String rest) {
    boolean events = rest.endsWith("/events");
    JobStore.Entry entry =
        store.get(owner, events ? rest.substring(0, rest.length() - "/events".length()) : rest);
    HttpMethod method = exchange.request().method();
    if (events) {
      HttpService.requireMethod(exchange, HttpMethod.GET);
      follow(exchange, entry);
    } else if (method.equals(HttpMethod.DELETE)) {
      scheduler.cancel(entry.job());
      exchange.json(200, describe(entry));
    } else {
      HttpService.requireMethod(exchange, HttpMethod.GET);
      exchange.json(200, describe(entry));
    }
  }

  private Map<String, Object> describe(JobStore.Entry entry) {
    Job job = entry.job();
    Job.State state = job.state();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("id", entry.id());
    json.put("object", "job");
    json.put("created", entry.created());
    json.put("state", state.toString().toLowerCase(Locale.ROOT));
    switch (state) {
      case WAITING, RUNNING -> json.putAll(place(job));
      case DONE -> json.put("result", Answers.of(job, entry.size()));
      case FAILED -> {
        JobEvent.Ended end = (JobEvent.Ended) job.events().getLast();
        json.putAll(ApiException.of(end.problem().orElseThrow()).toJson());
      }
      case CANCELLED -> {}
    }
    return json;
  }

  private Map<String, Object> place(Job job) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("position", scheduler.ahead(job));
    json.put("estimate_seconds", scheduler.estimate(job).toMillis() / 1e3);
    return json;
  }

  /** All events from the first on; one who comes late sees the same. */
  private void follow(Exchange exchange, JobStore.Entry entry) {
    Job job = entry.job();
    EventStream stream = new EventStream(exchange, vertx);
    Runnable place =
        () -> {
          if (job.state() == Job.State.WAITING) {
            stream.send("waiting", place(job));
          }
        };
    place.run();
    long timer = vertx.setPeriodic(PLACE_MILLIS, _ -> place.run());
    Consumer<JobEvent> follower =
        event -> {
          send(stream, entry, event);
          if (event instanceof JobEvent.Ended) {
            vertx.cancelTimer(timer);
            stream.end();
          }
        };
    exchange.onLeft(() -> {
      vertx.cancelTimer(timer);
      job.unfollow(follower);
    });
    job.follow(follower);
  }

  private static void send(EventStream stream, JobStore.Entry entry, JobEvent event) {
    Job job = entry.job();
    switch (event) {
      case JobEvent.ScaleDrawn drawn ->
          stream.sendIfRoom(
              "scale",
              Map.of(
                  "image_index",
                  drawn.picture(),
                  "scale",
                  drawn.scale(),
                  "scales",
                  drawn.scales()));
      case JobEvent.Partial partial ->
          stream.sendIfRoom("partial", Answers.partial(job, entry.size(), partial));
      case JobEvent.Drawn drawn ->
          stream.send("picture", Answers.completed(job, entry.size(), drawn));
      case JobEvent.Ended end -> {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("state", end.state().toString().toLowerCase(Locale.ROOT));
        end.problem().ifPresent(problem -> json.putAll(ApiException.of(problem).toJson()));
        stream.send("end", json);
      }
    }
  }
}
