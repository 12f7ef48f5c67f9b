package io.heatkv.eval.run;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.eval.Drawing;
import io.heatkv.eval.TestModel;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a batch of an evaluation costs. */
class BatchDrawerTest {
  /** Counts what is encoded and which passes begin. */
  private static final class Counting implements NextScaleModel {
    private final NextScaleModel model;
    private final List<List<PictureRequest>> encoded = new ArrayList<>();
    private int passes;

    Counting(NextScaleModel model) {
      this.model = model;
    }

    @Override
    public Conditioning encode(List<PictureRequest> pictures, boolean guided) {
      encoded.add(pictures);
      Conditioning text = model.encode(pictures, guided);
      return new Conditioning() {
        @Override
        public List<String> warnings() {
          return text.warnings();
        }

        @Override
        public Pass begin(ScaleGrids grids) {
          passes++;
          return text.begin(grids);
        }

        @Override
        public void close() {
          text.close();
        }
      };
    }

    @Override
    public Backend backend() {
      return model.backend();
    }

    @Override
    public Device device() {
      return model.device();
    }

    @Override
    public DType dtype() {
      return model.dtype();
    }

    @Override
    public KvShape kvShape(int pictures, int rowsPerPicture, ScaleGrids grids) {
      return model.kvShape(pictures, rowsPerPicture, grids);
    }

    @Override
    public void requireDrawable(ScaleGrids grids) {
      model.requireDrawable(grids);
    }

    @Override
    public Tensor decode(Tensor canvas) {
      return model.decode(canvas);
    }

    @Override
    public Tensor encode(Tensor pixels) {
      return model.encode(pixels);
    }

    @Override
    public void close() {
      model.close();
    }
  }

  /** The full cache under another name. */
  private record Named(String name) implements CachePolicy {
    @Override
    public KvPlan plan(KvShape shape) {
      return FULL.plan(shape);
    }
  }

  /** Of N cells 1 + N, and N more with divergence: the full cache's pass is recorded as drawn. */
  @ParameterizedTest
  @CsvSource({"false, 0, 1", "false, 3, 4", "true, 0, 1", "true, 3, 7"})
  void passesOfABatch(boolean divergence, int cells, int passes) {
    long live = TestModel.backend().liveTensors();
    SamplingOptions sampling = SamplingOptions.of(3, 1, 1);
    GenerationRequest request =
        new GenerationRequest(
            List.of(
                new PictureRequest("a cat", 1, sampling),
                new PictureRequest("a red apple", 2, sampling),
                new PictureRequest("a cat", 3, sampling)),
            ScaleGrids.parse("1x1,2x2,3x3"),
            CachePolicy.FULL);
    try (ImageGenerator generator = TestModel.open()) {
      Counting model = new Counting(generator.model());
      try (BatchDrawer drawer = new BatchDrawer(model, request, () -> false, divergence)) {
        Drawing full = drawer.full();
        assertThat(full.pictures()).hasSize(3);
        for (int i = 0; i < cells; i++) {
          Drawing drawn = drawer.draw(new Named("cell " + i));
          for (int picture = 0; picture < 3; picture++) {
            assertThat(drawn.pictures().get(picture).rgb())
                .isEqualTo(full.pictures().get(picture).rgb());
            assertThat(full.agreement(drawn, picture).overall()).isOne();
          }
          assertThat(drawn.divergence()).hasSize(divergence ? 3 : 0);
        }
      }
      assertThat(model.passes).isEqualTo(passes);
      assertThat(model.encoded).containsExactly(request.pictures());
    }
    assertThat(TestModel.backend().liveTensors()).isEqualTo(live);
  }
}
