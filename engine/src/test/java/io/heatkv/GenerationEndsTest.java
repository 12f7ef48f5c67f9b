package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.infinity.BitSampler;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Generations that are closed or fail: all is freed at once, and the next one is right. */
class GenerationEndsTest {
  private static final int SCALES = TinyModel.SCALES.count();

  @TempDir static Path folder;

  private static Backend backend;
  private static TinyModel tiny;
  private static List<ByteBuffer> expected;
  private long live;

  @BeforeAll
  static void load() {
    backend = TestDevice.backend();
    tiny = new TinyModel(folder);
    expected = draw();
  }

  @AfterAll
  static void close() {
    tiny.close();
  }

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allIsFreedAndTheNextGenerationIsRight() {
    allIsFreed();
    assertThat(draw()).isEqualTo(expected);
    allIsFreed();
  }

  private void allIsFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static GenerationRequest request(CachePolicy policy) {
    SamplingOptions sampling = SamplingOptions.of(3, 0.7, 0.97);
    return new GenerationRequest(
        List.of(
            new PictureRequest("a cat", 1, sampling),
            new PictureRequest("a green tree", 2, sampling),
            new PictureRequest("an owl", 3, sampling)),
        TinyModel.SCALES,
        policy);
  }

  private static List<ByteBuffer> draw() {
    try (Generation generation = Generation.open(tiny.model(), request(CachePolicy.FULL))) {
      return TinyModel.pixels(generation.run(GenerationListener.NONE).images());
    }
  }

  private static void steps(Generation generation, int count) {
    for (int i = 0; i < count; i++) {
      generation.step();
    }
  }

  private static void refusesAllButClosing(Generation generation) {
    assertThat(generation.isDone()).isTrue();
    for (ThrowingCallable use :
        List.<ThrowingCallable>of(
            generation::step,
            generation::finish,
            generation::preview,
            generation::tokens,
            generation::canvas,
            () -> generation.run(GenerationListener.NONE))) {
      assertThatThrownBy(use).isInstanceOf(IllegalStateException.class);
    }
    generation.cancel(0);
    generation.close();
  }

  @Test
  void closesAtAnyMoment() {
    for (int drawn = 0; drawn <= SCALES; drawn++) {
      try (Generation generation = Generation.open(tiny.model(), request(CachePolicy.FULL))) {
        steps(generation, drawn);
        long bytes = generation.memory().storage();
        generation.close();
        allIsFreed();
        refusesAllButClosing(generation);
        // What was measured stays known.
        assertThat(generation.memory().storage()).isEqualTo(bytes);
        assertThat(generation.scale()).isEqualTo(drawn);
      }
    }
  }

  @Test
  void finishingCloses() {
    try (Generation generation = Generation.open(tiny.model(), request(CachePolicy.FULL))) {
      generation.step();
      assertThat(TinyModel.pixels(generation.finish().images())).isEqualTo(expected);
      allIsFreed();
      refusesAllButClosing(generation);
    }
  }

  @Test
  void nothingIsThereBeforeItIsDrawn() {
    try (Generation generation = Generation.open(tiny.model(), request(CachePolicy.FULL))) {
      for (ThrowingCallable early :
          List.<ThrowingCallable>of(generation::preview, generation::tokens)) {
        assertThatThrownBy(early).isInstanceOf(IllegalStateException.class);
      }
      for (int scale = 0; scale < SCALES; scale++) {
        assertThatThrownBy(generation::canvas).isInstanceOf(IllegalStateException.class);
        generation.step();
      }
      for (int picture : List.of(-1, 3)) {
        assertThatThrownBy(() -> generation.cancel(picture))
            .isInstanceOf(IndexOutOfBoundsException.class);
      }
      // Such misuse ends nothing.
      assertThat(TinyModel.pixels(generation.finish().images())).isEqualTo(expected);
    }
  }

  /** Where somebody else's code runs within a generation. */
  enum Place {
    LISTENER,
    CODE_INPUT,
    BLOCK_INPUT,
    SELF_ATTENTION,
    LOGITS,
    SCALE_DONE,
    CHOOSER,
    ATTENTION,
    REMOVAL
  }

  /** A generation in which one picture leaves after each of the first scales. */
  private static final class Interrupted implements AutoCloseable {
    private final Place place;
    private final IntConsumer interruption;
    private final Generation generation;
    private int leaving;

    /**
     * @param interruption is given the scale
     */
    Interrupted(Place place, IntConsumer interruption) {
      this.place = place;
      this.interruption = interruption;
      CachePolicy policy =
          TinyModel.interrupted(
              scale -> at(Place.ATTENTION, scale), () -> at(Place.REMOVAL, leaving));
      TokenChooser chooser =
          (scale, logits) -> {
            at(Place.CHOOSER, scale);
            return BitSampler.argmax(logits);
          };
      generation = tiny.open(request(policy), place == Place.CHOOSER ? chooser : null, observer());
    }

    private void at(Place here, int scale) {
      if (here == place) {
        interruption.accept(scale);
      }
    }

    private ScaleObserver observer() {
      return new ScaleObserver() {
        @Override
        public void codeInput(int scale, Tensor codes) {
          at(Place.CODE_INPUT, scale);
        }

        @Override
        public void blockInput(int scale, Tensor x) {
          at(Place.BLOCK_INPUT, scale);
        }

        @Override
        public void selfAttention(int layer, int scale, Tensor output) {
          at(Place.SELF_ATTENTION, scale);
        }

        @Override
        public void logits(int scale, Tensor raw, Tensor guided) {
          at(Place.LOGITS, scale);
        }

        @Override
        public void scaleDone(int scale, Tensor tokens, Tensor canvas) {
          at(Place.SCALE_DONE, scale);
        }
      };
    }

    GenerationResult run() {
      return generation.run(
          new GenerationListener() {
            @Override
            public void scaleDone(int scale, int count, Generation drawn) {
              at(Place.LISTENER, scale);
              if (scale < 2) {
                leaving = scale + 1;
                drawn.cancel(scale);
              }
            }
          });
    }

    @Override
    public void close() {
      generation.close();
    }
  }

  /** Scales at which a place is passed. */
  private static List<Integer> scales(Place place) {
    return switch (place) {
      case CODE_INPUT -> List.of(1, 2, 3);
      case REMOVAL -> List.of(1, 2);
      default -> List.of(0, 1, 2, 3);
    };
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void anErrorAnywhereEndsIt(Place place) {
    List<Integer> passed = new ArrayList<>();
    try (Interrupted all = new Interrupted(place, passed::add)) {
      all.run();
    }
    assertThat(passed.stream().distinct()).isEqualTo(scales(place));
    for (int scale : scales(place)) {
      for (Throwable error :
          List.of(new IllegalStateException("broken"), new StackOverflowError("broken"))) {
        try (Interrupted failing = new Interrupted(place, now -> raise(now == scale, error))) {
          assertThatThrownBy(failing::run).isSameAs(error);
          allIsFreed();
          refusesAllButClosing(failing.generation);
        }
      }
    }
  }

  private static void raise(boolean now, Throwable error) {
    if (now && error instanceof RuntimeException e) {
      throw e;
    }
    if (now && error instanceof Error e) {
      throw e;
    }
  }

  /** By the thread that draws: what it computes with lives until the scale is done. */
  @ParameterizedTest
  @EnumSource(Place.class)
  void closesFromWithin(Place place) {
    for (int scale : scales(place)) {
      AtomicReference<Generation> generation = new AtomicReference<>();
      IntConsumer closing =
          now -> {
            if (now == scale) {
              generation.get().close();
            }
          };
      try (Interrupted closed = new Interrupted(place, closing)) {
        generation.set(closed.generation);
        assertThatThrownBy(closed::run).isInstanceOf(IllegalStateException.class);
        assertThat(closed.generation.scale()).isEqualTo(scale + 1);
        allIsFreed();
        refusesAllButClosing(closed.generation);
      }
    }
  }

  /** All at once, while the rows of one are being taken out: that scale is the last. */
  @ParameterizedTest
  @EnumSource(Place.class)
  void cancelsFromWithin(Place place) {
    for (int scale : scales(place)) {
      AtomicReference<Generation> generation = new AtomicReference<>();
      IntConsumer cancelling =
          now -> {
            if (now == scale) {
              generation.get().cancel();
            }
          };
      try (Interrupted cancelled = new Interrupted(place, cancelling)) {
        generation.set(cancelled.generation);
        assertThatThrownBy(cancelled::run).isInstanceOf(CancellationException.class);
        assertThat(cancelled.generation.scale()).isEqualTo(scale + 1);
        allIsFreed();
      }
    }
  }

  /** While another thread draws all scales: it isn't waited for longer than one of them. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void closesFromAnotherThread(boolean virtual) throws InterruptedException {
    for (int scale = 0; scale < SCALES; scale++) {
      int last = scale;
      AtomicReference<Generation> drawing = new AtomicReference<>();
      List<Thread> closers = new ArrayList<>();
      ScaleObserver observer =
          new ScaleObserver() {
            @Override
            public void blockInput(int now, Tensor x) {
              if (now == last) {
                Runnable closing = () -> drawing.get().close();
                Thread closer =
                    virtual
                        ? Thread.ofVirtual().start(closing)
                        : Thread.ofPlatform().start(closing);
                closers.add(closer);
                while (closer.isAlive() && closer.getState() != Thread.State.WAITING) {
                  Thread.onSpinWait();
                }
              }
            }
          };
      try (Generation generation = tiny.open(request(CachePolicy.FULL), null, observer)) {
        drawing.set(generation);
        assertThatThrownBy(generation::finish).isInstanceOf(IllegalStateException.class);
        assertThat(generation.scale()).isEqualTo(last + 1);
        allIsFreed();
        closers.getFirst().join();
        refusesAllButClosing(generation);
      }
    }
  }
}
