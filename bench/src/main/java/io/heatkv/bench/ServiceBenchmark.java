package io.heatkv.bench;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.family.PictureRequest;
import io.heatkv.json.JsonValue;
import io.heatkv.server.HeatKvServer;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Form;
import io.heatkv.server.core.Forms;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.ServedModel;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;

/**
 * A model as a service beside the same model that draws without one, by turns, so that both meet
 * the same machine.
 */
public final class ServiceBenchmark {
  private final ServedModel model;
  private final String policy;
  private final String budget;
  private final Form form;

  /**
   * @param policy of all pictures
   * @param budget of it
   */
  public ServiceBenchmark(ServedModel model, String policy, String budget) {
    this.model = model;
    this.policy = policy;
    this.budget = budget;
    form = new Forms(model).of(model.grids(), policy, budget, model.sampling());
  }

  /**
   * Pictures drawn and decoded without a service.
   *
   * @param batch at once
   */
  public record Offline(int batch, double picturesPerSecond) {}

  /**
   * What clients saw that asked for one picture after another.
   *
   * @param pictures that were answered
   * @param meanBatch pictures of a pass
   * @param failed answers other than pictures
   */
  public record Service(
      int pictures,
      double picturesPerSecond,
      double p50Millis,
      double p99Millis,
      double meanBatch,
      int failed) {}

  /**
   * What was found.
   *
   * @param batches tried without a service, one generation of each after one that warms up
   * @param offline turns at the best of them
   * @param batchLimit that the server found for itself
   * @param service turns of the clients
   */
  public record Result(
      List<Offline> batches, List<Offline> offline, int batchLimit, List<Service> service) {
    public Result {
      batches = List.copyOf(batches);
      offline = List.copyOf(offline);
      service = List.copyOf(service);
    }

    /** Pictures a second of the service over those without it, by the medians of their turns. */
    public double ratio() {
      return median(service.stream().map(Service::picturesPerSecond).toList())
          / median(offline.stream().map(Offline::picturesPerSecond).toList());
    }
  }

  /**
   * Runs it.
   *
   * @param limits of the server, which measures its batch unless they have one
   * @param batches to try without it
   * @param clients at a time
   * @param turns of each
   * @param turn how long each lasts; what has begun then is finished
   */
  public Result run(Limits limits, List<Integer> batches, int clients, int turns, Duration turn) {
    ServerOptions options =
        new ServerOptions(
            "127.0.0.1",
            0,
            OptionalInt.empty(),
            Set.of(),
            List.of(),
            0,
            1,
            4000,
            clients + 16,
            policy,
            Optional.of(budget),
            new ServerOptions.Kept(0, 0, Duration.ZERO),
            Duration.ZERO,
            false);
    List<Offline> tried = new ArrayList<>();
    for (int batch : batches) {
      draw(batch);
      tried.add(offline(batch, Duration.ZERO));
    }
    int best =
        tried.stream()
            .max(Comparator.comparingDouble(Offline::picturesPerSecond))
            .orElseThrow()
            .batch();
    List<Offline> offline = new ArrayList<>();
    List<Service> service = new ArrayList<>();
    try (HeatKvServer server = HeatKvServer.start(model, limits, options, "bench", _ -> {});
        Clients all = new Clients(server, model.samplePrompt())) {
      all.awaitMeasured();
      for (int i = 0; i < turns; i++) {
        offline.add(offline(best, turn));
        service.add(all.ask(clients, turn));
      }
      return new Result(tried, offline, server.status().batch(), service);
    }
  }

  private Offline offline(int batch, Duration turn) {
    long start = System.nanoTime();
    int pictures = 0;
    do {
      draw(batch);
      pictures += batch;
    } while (System.nanoTime() - start < turn.toNanos());
    return new Offline(batch, pictures / ((System.nanoTime() - start) / 1e9));
  }

  private GenerationRequest request(long first, int batch) {
    List<PictureRequest> pictures =
        LongStream.range(first, first + batch)
            .mapToObj(seed -> new PictureRequest(model.samplePrompt(), seed, model.sampling()))
            .toList();
    return new GenerationRequest(pictures, form.grids(), form.policy());
  }

  private void draw(int batch) {
    try (Generation generation = Generation.open(model.model(), request(1, batch))) {
      var _ = generation.finish();
    }
  }

  /**
   * Share of the bits, or of the tokens, of a picture that are the same alone as among others; all
   * on the CPU in fp32.
   *
   * @param batch pictures of the pass, each of which is drawn alone, too
   */
  public double equalShare(int batch) {
    List<List<int[]>> together = tokens(request(1, batch));
    long equal = 0;
    long all = 0;
    for (int picture = 0; picture < batch; picture++) {
      List<List<int[]>> alone = tokens(request(1 + picture, 1));
      for (int scale = 0; scale < alone.size(); scale++) {
        int[] a = alone.get(scale).getFirst();
        int[] b = together.get(scale).get(picture);
        for (int i = 0; i < a.length; i++) {
          equal += a[i] == b[i] ? 1 : 0;
        }
        all += a.length;
      }
    }
    return equal / (double) all;
  }

  /** Of each scale, of each picture. */
  private List<List<int[]>> tokens(GenerationRequest request) {
    List<List<int[]>> scales = new ArrayList<>();
    try (Generation generation = Generation.open(model.model(), request)) {
      while (!generation.isDone()) {
        generation.step();
        scales.add(generation.tokens());
      }
    }
    return scales;
  }

  static double median(List<Double> values) {
    return at(values.stream().sorted().toList(), 0.5);
  }

  private static double at(List<Double> sorted, double share) {
    return sorted.isEmpty()
        ? Double.NaN
        : sorted.get(Math.min(sorted.size() - 1, (int) (share * sorted.size())));
  }

  /** Clients of one server, over real sockets. */
  private static final class Clients implements AutoCloseable {
    private static final Pattern BATCHES =
        Pattern.compile("(?m)^heatkv_batch_size_(count|sum) (.*)$");

    private final HeatKvServer server;
    private final String prompt;
    private final AtomicLong seeds = new AtomicLong();
    private final HttpClient client =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    Clients(HeatKvServer server, String prompt) {
      this.server = server;
      this.prompt = prompt;
    }

    void awaitMeasured() {
      while (server.status().measuring()) {
        sleep(50);
      }
    }

    private static void sleep(long millis) {
      try {
        Thread.sleep(millis);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }

    Service ask(int clients, Duration turn) {
      double[] before = batches();
      ConcurrentLinkedQueue<Double> millis = new ConcurrentLinkedQueue<>();
      AtomicLong failed = new AtomicLong();
      long start = System.nanoTime();
      try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<?>> ends = new ArrayList<>();
        for (int i = 0; i < clients; i++) {
          ends.add(
              threads.submit(() -> {
                do {
                  long asked = System.nanoTime();
                  if (draw()) {
                    millis.add((System.nanoTime() - asked) / 1e6);
                  } else {
                    failed.incrementAndGet();
                  }
                } while (System.nanoTime() - start < turn.toNanos());
                return null;
              }));
        }
        for (Future<?> end : ends) {
          await(end);
        }
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      double[] after = batches();
      List<Double> sorted = millis.stream().sorted().toList();
      return new Service(
          sorted.size(),
          sorted.size() / seconds,
          at(sorted, 0.5),
          at(sorted, 0.99),
          (after[1] - before[1]) / (after[0] - before[0]),
          failed.intValue());
    }

    private static void await(Future<?> end) {
      try {
        var _ = end.get();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      } catch (ExecutionException e) {
        throw new IllegalStateException("a client failed", e.getCause());
      }
    }

    private HttpRequest.Builder request(String path) {
      return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path));
    }

    private boolean draw() throws IOException, InterruptedException {
      String body = JsonValue.line(Map.of("prompt", prompt, "seed", seeds.incrementAndGet()));
      HttpRequest request =
          request("/v1/images/generations")
              .header("Content-Type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString(body))
              .build();
      return client.send(request, BodyHandlers.ofByteArray()).statusCode() == 200;
    }

    /** Passes so far, and their pictures. */
    private double[] batches() {
      double[] found = new double[2];
      try {
        String text = client.send(request("/metrics").build(), BodyHandlers.ofString()).body();
        Matcher matcher = BATCHES.matcher(text);
        while (matcher.find()) {
          found[matcher.group(1).equals("sum") ? 1 : 0] = Double.parseDouble(matcher.group(2));
        }
        return found;
      } catch (IOException e) {
        throw new IllegalStateException(e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      client.close();
    }
  }
}
