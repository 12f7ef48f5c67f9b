package io.heatkv.server.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.Picture;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.server.ToyServedModel;
import io.heatkv.tensor.Backend;
import io.heatkv.testkit.TestDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One device and its queue, on the smallest model. */
final class SchedulerTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  @TempDir private static Path folder;

  private final Backend backend = TestDevice.backend();
  private final List<Integer> passes = new CopyOnWriteArrayList<>();
  private final List<Job.State> cancels = new CopyOnWriteArrayList<>();
  private ToyServedModel model;
  private Forms forms;

  @BeforeEach
  void open() {
    model = new ToyServedModel(folder);
    forms = new Forms(model);
  }

  @AfterEach
  void close() {
    model.close();
  }

  private Form form(String policy, String budget) {
    return forms.of(model.grids(), policy, budget, model.sampling());
  }

  private Form full() {
    return form("full", "1");
  }

  private Scheduler scheduler(Limits limits) {
    boolean shut = model.isShut();
    Scheduler started =
        Scheduler.start(
            model,
            limits,
            new SchedulerListener() {
              @Override
              public void passBegins(Form form, int pictures) {
                passes.add(pictures);
              }

              @Override
              public void cancelled(Job.State phase) {
                cancels.add(phase);
              }
            },
            full(),
            picture("circle", 0));
    if (shut) {
      // It warms up, or would if it could.
      until(model.door::hasQueuedThreads);
    }
    return started;
  }

  private static void until(BooleanSupplier condition) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.onSpinWait();
    }
  }

  private static Limits limits(int waiting, int batch) {
    return new Limits(1L << 30, 1L << 30, waiting, batch, Duration.ofMillis(1));
  }

  private PictureRequest picture(String prompt, long seed) {
    return new PictureRequest(prompt, seed, model.sampling());
  }

  private static Job job(Form form, PictureRequest... pictures) {
    return new Job(form, List.of(pictures), 0, new Encoding.OfPng());
  }

  private static JobEvent.Ended await(Job job) throws InterruptedException {
    CountDownLatch ended = new CountDownLatch(1);
    job.follow(event -> {
      if (event instanceof JobEvent.Ended) {
        ended.countDown();
      }
    });
    assertThat(ended.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    return (JobEvent.Ended) job.events().getLast();
  }

  private static List<JobEvent.Drawn> drawn(Job job) {
    return job.events().stream()
        .filter(JobEvent.Drawn.class::isInstance)
        .map(JobEvent.Drawn.class::cast)
        .toList();
  }

  /** The file that a picture becomes when it is drawn alone. */
  private byte[] alone(Form form, PictureRequest picture) {
    GenerationRequest request =
        new GenerationRequest(List.of(picture), form.grids(), form.policy());
    try (Generation generation = Generation.open(model.plain(), request)) {
      Picture result = generation.finish().images().getFirst();
      return new Encoding.OfPng()
          .encode(
              result.pixels(),
              model.texts(request, 0, result.pixels().width(), result.pixels().height()));
    }
  }

  @Test
  void picturesOfOneFormShareAPassAndAreTheSameAsAlone() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(20, 4))) {
      List<Job> jobs = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        jobs.add(job(i % 3 == 2 ? form("streaming-llm", "0.5") : full(), picture("cross", i)));
        scheduler.submit(jobs.getLast());
      }
      model.open();
      for (Job job : jobs) {
        assertThat(await(job).state()).isEqualTo(Job.State.DONE);
        JobEvent.Drawn drawn = drawn(job).getFirst();
        assertThat(drawn.image()).isEqualTo(alone(job.form(), job.pictures().getFirst()));
        assertThat(drawn.seed()).isEqualTo(job.pictures().getFirst().seed());
        assertThat(drawn.width()).isEqualTo(28);
        assertThat(drawn.height()).isEqualTo(20);
      }
      assertThat(passes).containsExactly(4, 2);
      assertThat(drawn(jobs.get(2)).getFirst().kvBytes())
          .isLessThanOrEqualTo(drawn(jobs.get(2)).getFirst().fullKvBytes() / 2);
    }
  }

  /** Four pictures that would fill one pass: each device takes two, and both draw at once. */
  @Test
  void devicesShareWhatWaits() throws Exception {
    model.close();
    model = new ToyServedModel(folder, 2);
    forms = new Forms(model);
    model.shut();
    try (Scheduler scheduler = scheduler(limits(20, 4));
        AutoCloseable _ = model::open) {
      // Both are at the door with what warms them up.
      until(() -> model.door.getQueueLength() == 2);
      List<Job> jobs = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        jobs.add(job(full(), picture("cross", i)));
        scheduler.submit(jobs.getLast());
      }
      for (int running : new int[] {2, 4}) {
        model.door.release(1);
        until(() -> scheduler.status().running() == running && model.door.getQueueLength() == 2);
      }
      assertThat(scheduler.status().devices()).isEqualTo(2);
      assertThat(scheduler.status().reservedKvBytes()).isEqualTo(2 * full().need(2).cache());
      model.open();
      for (Job job : jobs) {
        assertThat(await(job).state()).isEqualTo(Job.State.DONE);
        assertThat(drawn(job).getFirst().image())
            .isEqualTo(alone(job.form(), job.pictures().getFirst()));
      }
      assertThat(passes).containsExactly(2, 2);
    }
  }

  @Test
  void aDeviceThatIsGivenUpLeavesTheWorkToTheOther() throws Exception {
    model.close();
    model = new ToyServedModel(folder, 2);
    forms = new Forms(model);
    model.shut();
    try (Scheduler scheduler = scheduler(limits(9, 1));
        AutoCloseable _ = model::open) {
      // Both are at the door with what warms them up.
      until(() -> model.door.getQueueLength() == 2);
      List<Job> jobs = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        jobs.add(job(full(), picture("circle", i)));
        scheduler.submit(jobs.getLast());
      }
      for (int running : new int[] {1, 2}) {
        model.door.release(1);
        until(() -> scheduler.status().running() == running && model.door.getQueueLength() == 2);
      }
      // Its pass, and the small picture that would tell that it still computes.
      model.fail(1, 2);
      model.open();
      for (Job job : jobs) {
        await(job);
      }
      assertThat(jobs).filteredOn(job -> job.state() == Job.State.FAILED).hasSize(1);
      assertThat(jobs).filteredOn(job -> job.state() == Job.State.DONE).hasSize(4);
      until(() -> scheduler.status().devices() == 1);
      assertThat(scheduler.status().state()).isEqualTo(SchedulerStatus.Health.READY);
    }
  }

  @Test
  void manyPicturesOfOneJobTakeSeveralPasses() throws Exception {
    try (Scheduler scheduler = scheduler(limits(20, 3))) {
      PictureRequest[] pictures = new PictureRequest[7];
      for (int i = 0; i < pictures.length; i++) {
        pictures[i] = picture("square", i);
      }
      Job job = job(full(), pictures);
      scheduler.submit(job);
      assertThat(await(job).state()).isEqualTo(Job.State.DONE);
      assertThat(drawn(job))
          .extracting(JobEvent.Drawn::picture)
          .containsExactly(0, 1, 2, 3, 4, 5, 6);
      assertThat(passes).containsExactly(3, 3, 1);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void randomCancelsLeaveTheOthersAsTheyAreAndNothingBehind(long seed) throws Exception {
    Random random = new Random(seed);
    long before = backend.liveTensors();
    try (Scheduler scheduler = scheduler(limits(1000, 5))) {
      List<Job> jobs = new ArrayList<>();
      List<Thread> clients = new ArrayList<>();
      for (int i = 0; i < 60; i++) {
        Form form = random.nextBoolean() ? full() : form("h2o", "0.4");
        PictureRequest[] pictures = new PictureRequest[1 + random.nextInt(3)];
        for (int p = 0; p < pictures.length; p++) {
          pictures[p] = picture(random.nextBoolean() ? "circle" : "cross", random.nextInt(5));
        }
        Job job = new Job(form, List.of(pictures), random.nextInt(3), new Encoding.OfPng());
        jobs.add(job);
        int scale = random.nextInt(6) - 1;
        if (i % 3 == 0) {
          // Leaves when it sees a scale, which is any moment for the others.
          job.follow(event -> {
            if (event instanceof JobEvent.ScaleDrawn drawn && drawn.scale() == scale) {
              clients.add(Thread.startVirtualThread(() -> scheduler.cancel(job)));
            }
          });
        }
        scheduler.submit(job);
        if (i % 3 == 0 && scale < 0) {
          scheduler.cancel(job);
        }
      }
      for (Job job : jobs) {
        JobEvent.Ended end = await(job);
        assertThat(end.state()).isIn(Job.State.DONE, Job.State.CANCELLED);
        for (JobEvent.Drawn drawn : drawn(job)) {
          assertThat(drawn.image())
              .isEqualTo(alone(job.form(), job.pictures().get(drawn.picture())));
        }
      }
      assertThat(jobs).filteredOn(job -> job.state() == Job.State.DONE).hasSizeGreaterThan(39);
      assertThat(cancels).contains(Job.State.WAITING);
      assertThat(scheduler.drain(PATIENCE)).isTrue();
      assertThat(scheduler.status().reservedBytes()).isZero();
      assertThat(scheduler.status().waiting()).isZero();
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  @Test
  void aFullQueueRefusesAndSaysWhenToComeAgain() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(3, 1))) {
      Job first = job(full(), picture("circle", 1), picture("circle", 2));
      scheduler.submit(first);
      assertThatThrownBy(
              () -> scheduler.submit(job(full(), picture("cross", 1), picture("cross", 2))))
          .isInstanceOfSatisfying(
              Refusal.class,
              refusal -> {
                assertThat(refusal.reason()).isEqualTo(Refusal.Reason.QUEUE_FULL);
                assertThat(refusal.retryAfter()).isPositive();
              })
          .hasMessage("2 of 3 places in the queue are taken; try again later");
      Job last = job(full(), picture("cross", 1));
      scheduler.submit(last);
      assertThat(scheduler.ahead(last)).isEqualTo(2);
      scheduler.cancel(first);
      assertThat(scheduler.ahead(last)).isZero();
      model.open();
      assertThat(await(last).state()).isEqualTo(Job.State.DONE);
      assertThat(await(first).state()).isEqualTo(Job.State.CANCELLED);
    }
  }

  @Test
  void aWrongPromptFailsAlone() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(9, 4))) {
      Job right = job(full(), picture("circle", 1));
      Job wrong = job(full(), picture("triangle", 1));
      scheduler.submit(right);
      scheduler.submit(wrong);
      model.open();
      assertThat(await(right).state()).isEqualTo(Job.State.DONE);
      JobEvent.Ended end = await(wrong);
      assertThat(end.state()).isEqualTo(Job.State.FAILED);
      assertThat(end.problem().orElseThrow())
          .isInstanceOf(UserException.class)
          .hasMessageStartingWith("class 'triangle' is unknown");
    }
  }

  @Test
  void aPassTakesNoMoreThanTheLimits() throws Exception {
    Form form = full();
    long kv = form.need(2).cache();
    model.shut();
    try (Scheduler scheduler = scheduler(new Limits(kv, 1L << 30, 9, 8, Duration.ofMillis(1)))) {
      Job job = job(form, picture("circle", 1), picture("circle", 2), picture("circle", 3));
      scheduler.submit(job);
      model.open();
      assertThat(await(job).state()).isEqualTo(Job.State.DONE);
      assertThat(passes).containsExactly(2, 1);
      assertThat(drawn(job)).allSatisfy(drawn -> assertThat(drawn.kvBytes()).isEqualTo(kv / 2));
    }
    assertThat(new Limits(kv, form.need(3).total(), 9, 8, Duration.ZERO).largest(form, 9))
        .isEqualTo(2);
    assertThat(new Limits(1L << 40, form.need(3).total(), 9, 8, Duration.ZERO).largest(form, 9))
        .isEqualTo(3);
    assertThat(new Limits(kv / 2 - 1, 1L << 40, 9, 8, Duration.ZERO).largest(form, 9)).isZero();
  }

  @Test
  void afterAFailureTheNextPassRuns() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(9, 1))) {
      Job lost = job(full(), picture("circle", 1));
      Job next = job(full(), picture("circle", 2));
      scheduler.submit(lost);
      scheduler.submit(next);
      // Nobody measures while someone waits.
      model.door.release(1);
      until(() -> scheduler.status().running() == 1 && model.door.hasQueuedThreads());
      model.failures.set(1);
      model.open();
      assertThat(await(lost).problem().orElseThrow()).hasMessage("the device is on fire");
      assertThat(await(next).state()).isEqualTo(Job.State.DONE);
      // A job ends before its pass does.
      until(() -> scheduler.status().state() == SchedulerStatus.Health.READY);
    }
  }

  @Test
  void aDeviceThatFailsAgainIsGivenUp() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(9, 1))) {
      Job lost = job(full(), picture("circle", 1));
      Job next = job(full(), picture("circle", 2));
      scheduler.submit(lost);
      scheduler.submit(next);
      // Nobody measures while someone waits.
      model.door.release(1);
      until(() -> scheduler.status().running() == 1 && model.door.hasQueuedThreads());
      model.failures.set(1000);
      model.open();
      assertThat(await(lost).state()).isEqualTo(Job.State.FAILED);
      assertThat(await(next).state()).isEqualTo(Job.State.FAILED);
      assertThat(scheduler.status().state()).isEqualTo(SchedulerStatus.Health.BROKEN);
      assertThatThrownBy(() -> scheduler.submit(job(full(), picture("circle", 3))))
          .isInstanceOf(Refusal.class)
          .hasMessage("the device failed; restart the server");
    }
  }

  @Test
  void drainingFinishesWhatIsThereAndTakesNoMore() throws Exception {
    model.shut();
    try (Scheduler scheduler = scheduler(limits(9, 2))) {
      Job job = job(full(), picture("circle", 1), picture("circle", 2), picture("circle", 3));
      scheduler.submit(job);
      assertThat(scheduler.drain(Duration.ofMillis(1))).isFalse();
      assertThatThrownBy(() -> scheduler.submit(job(full(), picture("circle", 3))))
          .isInstanceOf(Refusal.class)
          .hasMessage("the server is stopping; try again later");
      model.open();
      assertThat(scheduler.drain(PATIENCE)).isTrue();
      assertThat(await(job).state()).isEqualTo(Job.State.DONE);
    }
  }

  @Test
  void closingCancelsWhatIsLeft() throws Exception {
    model.shut();
    Scheduler scheduler = scheduler(limits(9, 1));
    Job job = job(full(), picture("circle", 1), picture("circle", 2));
    scheduler.submit(job);
    Thread closing = Thread.startVirtualThread(scheduler::close);
    assertThat(await(job).state()).isEqualTo(Job.State.CANCELLED);
    model.open();
    closing.join();
  }

  @Test
  void partialImagesAreTheModelsScalesAtTheirOwnGrids() throws Exception {
    try (Scheduler scheduler = scheduler(limits(9, 1))) {
      Job first = new Job(full(), List.of(picture("circle", 1)), 2, new Encoding.OfPng());
      scheduler.submit(first);
      assertThat(await(first).state()).isEqualTo(Job.State.DONE);
      List<JobEvent.Partial> shown =
          first.events().stream()
              .filter(JobEvent.Partial.class::isInstance)
              .map(JobEvent.Partial.class::cast)
              .toList();
      assertThat(shown).isNotEmpty();
      assertThat(shown)
          .allSatisfy(partial -> {
            assertThat(partial.width())
                .isEqualTo(4 * first.form().grids().size(partial.scale()).width());
            assertThat(partial.height())
                .isEqualTo(4 * first.form().grids().size(partial.scale()).height());
          });
      assertThat(first.events().indexOf(shown.getLast())).isLessThan(first.events().size() - 2);
    }
  }

  @Test
  void differentFormsOfGuidanceAreRefusedInOneJob() {
    PictureRequest unguided = new PictureRequest("circle", 1, SamplingOptions.of(1, 1, 1));
    assertThatThrownBy(() -> job(full(), picture("circle", 1), unguided))
        .isInstanceOf(UserException.class);
  }
}
