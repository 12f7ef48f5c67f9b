package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Two models, one of them drawing for several threads at once. */
class ConcurrentCallersTest {
  private static final List<ScaleGrids> SCHEDULES =
      List.of(ScaleGrids.parse("1x1,2x2,4x4"), ScaleGrids.parse("1x1,2x2,3x4"));
  private static final List<String> PROMPTS = List.of("a cat", "a smiling red heart on a cloud");

  private static byte[] draw(ImageGenerator model, int which) {
    GenerationRequest request =
        GenerationRequest.of(
            List.of(PROMPTS.get(which)),
            Optional.empty(),
            1,
            which,
            SCHEDULES.get(which),
            SamplingOptions.of(3, 0.7, 0.97),
            CachePolicy.FULL);
    return model.generate(request, GenerationListener.NONE).images().getFirst().pixels().rgb();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void callersGetThePicturesThatOneGetsAlone(boolean virtual) throws Exception {
    Backend backend = TestDevice.backend();
    long live = backend.liveTensors();
    try (ImageGenerator model = open(backend);
        ImageGenerator other = open(backend)) {
      List<byte[]> alone = List.of(draw(model, 0), draw(model, 1));
      assertThat(alone.getFirst()).isNotEqualTo(alone.getLast());
      try (ExecutorService callers =
          virtual ? Executors.newVirtualThreadPerTaskExecutor() : Executors.newFixedThreadPool(4)) {
        List<Future<byte[]>> pictures = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
          ImageGenerator drawing = i % 3 == 0 ? other : model;
          int which = i % 2;
          pictures.add(callers.submit(() -> draw(drawing, which)));
        }
        for (int i = 0; i < pictures.size(); i++) {
          assertThat(pictures.get(i).get()).isEqualTo(alone.get(i % 2));
        }
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static ImageGenerator open(Backend backend) {
    return new ImageGenerator(TestDevice.model(), backend, TestDevice.device(), DType.F32);
  }
}
