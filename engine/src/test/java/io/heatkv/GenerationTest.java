package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Tensor;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pictures that are stepped, looked at, cancelled and closed. */
class GenerationTest {
  private static final int SCALES = TinyModel.SCALES.count();
  // Two lengths: the shorter texts are padded as long as the longer one is there, and after.
  private static final List<String> PROMPTS = List.of("a cat", "a green tree", "an owl", "a dog");

  @TempDir static Path folder;

  private static Backend backend;
  private static TinyModel tiny;
  private long live;

  @BeforeAll
  static void load() {
    backend = TestDevice.backend();
    tiny = new TinyModel(folder);
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
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Every kind of storage, with one row of a picture and with two. */
  static Stream<Arguments> passes() {
    return Stream.of("full", "heatkv", "h2o", "streaming-llm")
        .flatMap(policy -> Stream.of(1.0, 3.0).map(cfg -> Arguments.of(policy, cfg)));
  }

  private static GenerationRequest request(CachePolicy policy, double cfg, int pictures) {
    return new GenerationRequest(
        IntStream.range(0, pictures)
            .mapToObj(
                i -> new PictureRequest(PROMPTS.get(i), 7 + i, SamplingOptions.of(cfg, 0.7, 0.97)))
            .toList(),
        TinyModel.SCALES,
        policy);
  }

  private static GenerationRequest request() {
    return request(CachePolicy.FULL, 3, 2);
  }

  /**
   * What nobody's leaving disturbed.
   *
   * @param tokens [scale][picture]
   */
  private record Whole(List<List<IntBuffer>> tokens, List<ByteBuffer> pixels) {
    static Whole of(GenerationRequest request) {
      List<List<IntBuffer>> tokens = new ArrayList<>();
      try (Generation generation = Generation.open(tiny.model(), request)) {
        while (!generation.isDone()) {
          generation.step();
          tokens.add(TinyModel.tokens(generation));
        }
        return new Whole(tokens, TinyModel.pixels(generation.finish().images()));
      }
    }
  }

  private static <T> List<T> those(List<T> all, List<Integer> indices) {
    return indices.stream().map(all::get).toList();
  }

  /** Rows that the transformer computes at each scale. */
  private static final class Rows implements ScaleObserver {
    private final List<Long> rows = new ArrayList<>();

    @Override
    public void blockInput(int scale, Tensor x) {
      rows.add(x.size(0));
    }
  }

  @ParameterizedTest
  @MethodSource("passes")
  void steppingDrawsWhatRunningDraws(String policy, double cfg) {
    GenerationRequest request = request(tiny.policy(policy), cfg, 2);
    List<ByteBuffer> pixels;
    try (Generation generation = Generation.open(tiny.model(), request)) {
      pixels = TinyModel.pixels(generation.run(GenerationListener.NONE).images());
    }
    List<int[]> observed = new ArrayList<>();
    ScaleObserver observer =
        new ScaleObserver() {
          @Override
          public void scaleDone(int scale, Tensor tokens, Tensor canvas) {
            observed.add(tokens.toInts());
          }
        };
    List<List<ByteBuffer>> previews = new ArrayList<>();
    try (Generation generation = tiny.open(request, null, observer)) {
      for (int scale = 0; scale < SCALES; scale++) {
        assertThat(generation.isDone()).isFalse();
        assertThat(generation.scale()).isEqualTo(scale);
        generation.step();
        previews.add(TinyModel.pixels(generation.preview()));
        int tokens = TinyModel.SCALES.tokens(scale) * 4;
        List<int[]> both = generation.tokens();
        assertThat(both).extracting(all -> all.length).containsExactly(tokens, tokens);
        assertThat(IntStream.concat(IntStream.of(both.get(0)), IntStream.of(both.get(1))).toArray())
            .isEqualTo(observed.get(scale))
            .containsOnly(0, 1);
      }
      assertThat(generation.isDone()).isTrue();
      assertThat(generation.scale()).isEqualTo(SCALES);
      assertThat(generation.canvas().shape()).containsExactly(2, 4, 4, 4);
      GenerationResult result = generation.finish();
      assertThat(TinyModel.pixels(result.images())).isEqualTo(pixels).isEqualTo(previews.getLast());
      assertThat(result.timings().scales()).hasSize(SCALES);
      assertThat(backend.liveTensors()).isEqualTo(live);
    }
    assertThat(previews.getFirst()).doesNotContainAnyElementsOf(pixels);
    assertThat(pixels).doesNotHaveDuplicates();
  }

  @ParameterizedTest
  @MethodSource("passes")
  void theOthersDoNotNoticeWhoIsCancelled(String policy, double cfg) {
    GenerationRequest request = request(tiny.policy(policy), cfg, 3);
    Whole whole = Whole.of(request);
    for (int drawn = 0; drawn <= SCALES; drawn++) {
      for (List<Integer> left : List.of(List.of(1, 2), List.of(0, 2), List.of(0, 1), List.of(1))) {
        String at = "after %d scales, left %s".formatted(drawn, left);
        Rows seen = new Rows();
        try (Generation generation = tiny.open(request, null, seen)) {
          for (int scale = 0; scale < drawn; scale++) {
            generation.step();
          }
          long bytes = generation.memory().storage();
          IntStream.range(0, 3).filter(i -> !left.contains(i)).forEach(generation::cancel);
          assertThat(generation.pictures()).isEqualTo(left);
          for (int scale = drawn; scale < SCALES; scale++) {
            generation.step();
            assertThat(TinyModel.tokens(generation))
                .as("%s, scale %d", at, scale)
                .isEqualTo(those(whole.tokens.get(scale), left));
          }
          GenerationResult result = generation.finish();
          assertThat(result.kv().storage()).isEqualTo(bytes);
          assertThat(result.images()).extracting(Picture::index).isEqualTo(left);
          assertThat(result.images())
              .extracting(Picture::request)
              .isEqualTo(those(request.pictures(), left));
          assertThat(TinyModel.pixels(result.images())).as(at).isEqualTo(those(whole.pixels, left));
        }
        long each = request.rowsPerPicture();
        int before = drawn;
        assertThat(seen.rows)
            .as(at)
            .isEqualTo(
                IntStream.range(0, SCALES)
                    .mapToObj(scale -> each * (scale < before ? 3 : left.size()))
                    .toList());
        assertThat(backend.liveTensors()).as(at).isEqualTo(live);
      }
    }
  }

  /** While pictures are decoded, each is given away at once, and who leaves then isn't decoded. */
  @Test
  void aDecodedPictureNeedsNotWaitForTheOthers() {
    GenerationRequest request = request(CachePolicy.FULL, 3, 4);
    Whole whole = Whole.of(request);
    try (Generation generation = Generation.open(tiny.model(), request)) {
      List<Picture> given = new ArrayList<>();
      GenerationResult result =
          generation.finish(picture -> {
            given.add(picture);
            generation.cancel(2);
          });
      assertThat(given).isEqualTo(result.images());
      assertThat(given).extracting(Picture::index).containsExactly(0, 1, 3);
      assertThat(TinyModel.pixels(given)).isEqualTo(those(whole.pixels, List.of(0, 1, 3)));
      assertThat(generation.fullKvBytes()).isEqualTo(result.fullKvBytes());
    }
  }

  /** One after another, by a listener, until some picture is left or none. */
  @ParameterizedTest
  @MethodSource("passes")
  void picturesLeaveByChance(String policy, double cfg) {
    GenerationRequest request = request(tiny.policy(policy), cfg, 4);
    Whole whole = Whole.of(request);
    for (long seed = 1; seed <= 10; seed++) {
      Random random = new Random(seed);
      GenerationListener listener =
          new GenerationListener() {
            @Override
            public void scaleDone(int scale, int count, Generation generation) {
              List<Integer> left = generation.pictures();
              assertThat(TinyModel.tokens(generation))
                  .isEqualTo(those(whole.tokens.get(scale), left));
              left.stream().filter(_ -> random.nextInt(4) == 0).forEach(generation::cancel);
            }
          };
      try (Generation generation = Generation.open(tiny.model(), request)) {
        List<Picture> images = generation.run(listener).images();
        assertThat(images).extracting(Picture::index).isEqualTo(generation.pictures());
        assertThat(TinyModel.pixels(images))
            .as("seed " + seed)
            .isEqualTo(those(whole.pixels, generation.pictures()));
      } catch (CancellationException e) {
        assertThat(e).hasMessage("the generation was cancelled");
      }
      assertThat(backend.liveTensors()).as("seed " + seed).isEqualTo(live);
    }
  }

  /** As a whole, or one picture after another, before any scale and after the last. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void withoutAPictureLeftAPassEnds(boolean atOnce) {
    for (int drawn = 0; drawn <= SCALES; drawn++) {
      Rows seen = new Rows();
      try (Generation generation = tiny.open(request(), null, seen)) {
        for (int scale = 0; scale < drawn; scale++) {
          generation.step();
        }
        if (atOnce) {
          generation.cancel();
        } else {
          generation.cancel(1);
          assertThat(generation.isDone()).isEqualTo(drawn == SCALES);
          generation.cancel(1);
          generation.cancel(0);
        }
        assertThat(generation.isDone()).isTrue();
        assertThat(generation.pictures()).isEmpty();
        if (drawn < SCALES) {
          generation.step();
          assertThat(backend.liveTensors()).isEqualTo(live);
        }
        assertThatThrownBy(generation::step).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(generation::finish).isInstanceOf(CancellationException.class);
        assertThat(backend.liveTensors()).isEqualTo(live);
      }
      assertThat(seen.rows).hasSize(drawn);
    }
  }
}
