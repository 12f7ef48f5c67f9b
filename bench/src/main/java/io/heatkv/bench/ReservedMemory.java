package io.heatkv.bench;

import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.MemoryNeed;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.server.core.Encoding;
import io.heatkv.server.core.Form;
import io.heatkv.server.core.Forms;
import io.heatkv.server.core.Job;
import io.heatkv.server.core.JobEvent;
import io.heatkv.server.core.Limits;
import io.heatkv.server.core.Scheduler;
import io.heatkv.server.core.SchedulerListener;
import io.heatkv.server.core.ServedModel;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What a service reserves for random mixes of requests, beside what its device's driver tells. The
 * allocator keeps what it once had; before each mix it is made to give that back, so that each peak
 * is its own.
 */
public final class ReservedMemory {
  private static final List<String> POLICIES =
      List.of("full", "heatkv", "heatkv-paper", "sliding-window", "streaming-llm");
  private static final List<String> BUDGETS = List.of("0.05", "0.1", "0.2", "0.3", "0.5");
  private static final int MOST_PICTURES = 6;
  // Long enough for all requests of a mix to come.
  private static final Duration WINDOW = Duration.ofMillis(300);

  private final ServedModel model;
  private final Forms forms;
  private final Limits limits;
  private final long total;
  private final LongSupplier free;
  // The smallest first.
  private final List<ScaleGrids> grids;

  /**
   * @param usable bytes that pictures may take
   * @param total bytes of the device
   * @param free bytes of it, as its driver tells
   */
  public ReservedMemory(ServedModel model, long usable, long total, LongSupplier free) {
    this.model = model;
    this.total = total;
    this.free = free;
    forms = new Forms(model);
    limits = new Limits(usable, usable, 1000, 1000, WINDOW);
    Random random = new Random(1);
    // One of each number of scales, and the model's own.
    Map<Integer, ScaleGrids> byScales = new TreeMap<>();
    List<ScaleGrids> offered = new ArrayList<>(model.offeredGrids());
    Collections.shuffle(offered, random);
    offered.forEach(each -> byScales.put(each.count(), each));
    grids = new ArrayList<>(byScales.values());
    grids.add(model.grids());
  }

  /**
   * One mix.
   *
   * @param passes as policy, budget and last grid x pictures
   * @param cache bytes of keys and values of its largest pass
   * @param scratch what that takes besides
   * @param idle bytes that were free before it, by the driver
   * @param taken bytes that were taken then
   */
  public record Mix(String passes, long cache, long scratch, long idle, long taken) {
    /** Bytes that the service reserves. */
    public long reserved() {
      return cache + scratch;
    }
  }

  /** Requests of one form. */
  private record Part(Form form, String name, int pictures, int partials) {
    MemoryNeed need() {
      return form.need(pictures);
    }
  }

  /**
   * Draws random mixes, the same ones each time, after one small picture, which opens libraries.
   *
   * @param count of them
   * @param done is given each as soon as it is measured
   */
  public List<Mix> run(int count, Consumer<Mix> done) {
    Random random = new Random(count);
    List<List<Part>> mixes = IntStream.range(0, count).mapToObj(_ -> mix(random)).toList();
    List<Mix> found = new ArrayList<>();
    PictureRequest sample = new PictureRequest(model.samplePrompt(), 0, model.sampling());
    Form small = forms.of(grids.getFirst(), "full", "1", model.sampling());
    List<List<Part>> all = new ArrayList<>(List.of(List.of(new Part(small, "smallest", 1, 0))));
    all.addAll(mixes);
    // With a batch given, the scheduler measures nothing but warms up with the small one.
    try (Scheduler scheduler =
        Scheduler.start(model, limits, new SchedulerListener() {}, small, sample)) {
      for (List<Part> mix : all) {
        giveBack();
        long idle = free.getAsLong();
        draw(scheduler, mix);
        MemoryNeed largest = largest(mix);
        Mix measured =
            new Mix(
                mix.stream().map(Part::name).collect(Collectors.joining(", ")),
                largest.cache(),
                largest.scratch(),
                idle,
                idle - free.getAsLong());
        found.add(measured);
        done.accept(measured);
      }
    }
    return found;
  }

  /** An allocator gives back what it doesn't use when it is asked for more than there is. */
  private void giveBack() {
    try (Scope _ = Scope.open()) {
      Tensor _ = Tensor.empty(model.model().backend(), DType.U8, model.model().device(), total);
    } catch (RuntimeException _) {
      // As it must be.
    }
  }

  /** Of its largest pass: only one runs at a time. */
  private static MemoryNeed largest(List<Part> mix) {
    return mix.stream()
        .map(Part::need)
        .max(Comparator.comparingLong(MemoryNeed::total))
        .orElseThrow();
  }

  private List<Part> mix(Random random) {
    Map<Form, Part> parts = new LinkedHashMap<>();
    for (int requests = 1 + random.nextInt(3); requests > 0; requests--) {
      Part part = part(random);
      parts.put(part.form, part);
    }
    return List.copyOf(parts.values());
  }

  private Part part(Random random) {
    while (true) {
      ScaleGrids drawn = grids.get(random.nextInt(grids.size()));
      String policy = POLICIES.get(random.nextInt(POLICIES.size()));
      boolean whole = CachePolicies.whole(policy).isPresent();
      String budget = whole ? "1" : BUDGETS.get(random.nextInt(BUDGETS.size()));
      int pictures = 1 + random.nextInt(MOST_PICTURES);
      String name = "%s %s %sx%d".formatted(policy, budget, drawn.last(), pictures);
      try {
        Form form = forms.of(drawn, policy, budget, model.sampling());
        return new Part(form, name, pictures, random.nextInt(4));
      } catch (UserException _) {
        // Few scales have no room for a small budget.
      }
    }
  }

  private void draw(Scheduler scheduler, List<Part> mix) {
    CountDownLatch left = new CountDownLatch(mix.size());
    List<Job> jobs = new ArrayList<>();
    for (Part part : mix) {
      List<PictureRequest> pictures =
          IntStream.range(0, part.pictures)
              .mapToObj(seed -> new PictureRequest(model.samplePrompt(), seed, model.sampling()))
              .toList();
      Job job = new Job(part.form, pictures, part.partials, new Encoding.OfJpeg(50));
      job.follow(event -> {
        if (event instanceof JobEvent.Ended) {
          left.countDown();
        }
      });
      jobs.add(job);
      scheduler.submit(job);
    }
    try {
      left.await();
      // Jobs end before their pass does.
      while (scheduler.status().running() > 0) {
        Thread.sleep(1);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
    for (Job job : jobs) {
      if (job.events().getLast() instanceof JobEvent.Ended end && end.problem().isPresent()) {
        throw new IllegalStateException("a picture failed", end.problem().get());
      }
    }
  }
}
