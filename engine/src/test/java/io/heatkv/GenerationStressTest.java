package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many small generations of one model at a time, disturbed by chance and by other threads. */
class GenerationStressTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,2x3");
  private static final int CALLERS = 4;
  private static final int EACH = 50;
  private static final List<String> PROMPTS = List.of("a cat", "an owl", "a green tree");

  /** What happens to a generation. */
  private enum Disturbance {
    NONE,
    ONE_CANCELLED,
    ALL_CANCELLED,
    CLOSED
  }

  /** Pictures of a request after each scale: [scale][picture]. */
  private record Known(GenerationRequest request, List<List<ByteBuffer>> previews) {}

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatIsDrawnIsRightAndNothingStays(boolean virtual) throws Exception {
    Backend backend = TestDevice.backend();
    long live = backend.liveTensors();
    try (TinyModel tiny = new TinyModel(folder);
        ExecutorService others = executor(virtual);
        ExecutorService callers = executor(virtual)) {
      List<Known> known = new ArrayList<>();
      for (CachePolicy policy : List.of(CachePolicy.FULL, tiny.policy("random"))) {
        for (double cfg : List.of(1.0, 3.0)) {
          known.add(known(tiny, policy, cfg));
        }
      }
      long loaded = backend.liveTensors();
      List<Future<?>> all = new ArrayList<>();
      for (int caller = 0; caller < CALLERS; caller++) {
        long first = 1000L * caller;
        all.add(
            callers.submit(() -> {
              for (long seed = first; seed < first + EACH; seed++) {
                draw(tiny, known, seed, others);
              }
            }));
      }
      for (Future<?> one : all) {
        one.get();
      }
      others.shutdown();
      others.close();
      assertThat(backend.liveTensors()).isEqualTo(loaded);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static ExecutorService executor(boolean virtual) {
    return virtual
        ? Executors.newVirtualThreadPerTaskExecutor()
        : Executors.newFixedThreadPool(CALLERS);
  }

  private static Known known(TinyModel tiny, CachePolicy policy, double cfg) {
    SamplingOptions sampling = SamplingOptions.of(cfg, 1, 0.97);
    GenerationRequest request =
        new GenerationRequest(
            IntStream.range(0, PROMPTS.size())
                .mapToObj(i -> new PictureRequest(PROMPTS.get(i), i, sampling))
                .toList(),
            SCALES,
            policy);
    List<List<ByteBuffer>> previews = new ArrayList<>();
    try (Generation generation = Generation.open(tiny.model(), request)) {
      while (!generation.isDone()) {
        generation.step();
        previews.add(TinyModel.pixels(generation.preview()));
      }
    }
    return new Known(request, previews);
  }

  private static void draw(TinyModel tiny, List<Known> known, long seed, ExecutorService others) {
    Random random = new Random(seed);
    Known drawn = known.get(random.nextInt(known.size()));
    Disturbance disturbance = Disturbance.values()[random.nextInt(4)];
    int victim = random.nextInt(PROMPTS.size());
    int when = random.nextInt(SCALES.count());
    boolean byAnother = random.nextBoolean();
    Consumer<Generation> disturb =
        switch (disturbance) {
          case NONE -> _ -> {};
          case ONE_CANCELLED -> generation -> generation.cancel(victim);
          case ALL_CANCELLED -> Generation::cancel;
          case CLOSED -> Generation::close;
        };
    GenerationListener listener =
        new GenerationListener() {
          @Override
          public void scaleDone(int scale, int count, Generation generation) {
            if (random.nextInt(3) == 0) {
              areRight(generation.preview(), drawn.previews.get(scale), seed);
            }
            if (scale == when && byAnother) {
              others.execute(() -> disturb.accept(generation));
            } else if (scale == when) {
              disturb.accept(generation);
            }
          }
        };
    try (Generation generation = Generation.open(tiny.model(), drawn.request)) {
      List<Picture> pictures = generation.run(listener).images();
      areRight(pictures, drawn.previews.getLast(), seed);
      // Who cancels all while pictures are decoded finds some decoded.
      int least =
          switch (disturbance) {
            case NONE -> 3;
            case ONE_CANCELLED -> 2;
            case ALL_CANCELLED, CLOSED -> 1;
          };
      assertThat(pictures.size()).isGreaterThanOrEqualTo(least);
      assertThat(byAnother || disturbance.compareTo(Disturbance.ONE_CANCELLED) <= 0)
          .as("seed " + seed)
          .isTrue();
    } catch (CancellationException e) {
      assertThat(disturbance).as("seed " + seed).isEqualTo(Disturbance.ALL_CANCELLED);
    } catch (IllegalStateException e) {
      assertThat(e)
          .as("seed " + seed)
          .hasMessageMatching("nothing is left to draw|there is nothing to show|.*is closed.*");
      assertThat(disturbance).as("seed " + seed).isEqualTo(Disturbance.CLOSED);
    }
  }

  private static void areRight(List<Picture> pictures, List<ByteBuffer> expected, long seed) {
    assertThat(TinyModel.pixels(pictures))
        .as("seed " + seed)
        .isEqualTo(pictures.stream().map(picture -> expected.get(picture.index())).toList());
  }
}
