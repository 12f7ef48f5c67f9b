package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.PlainOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** fp32 on the CPU: bits that depend neither on threads nor on what is computed beside. */
class SameBitsTest {
  private static final int[] THREADS = {1, 2, 3};

  private final LibTorch torch = (LibTorch) TestDevice.backend();
  private final Random random = new Random(2);
  private Scope scope;

  @BeforeEach
  void nativesThatComeAlong() {
    scope = Scope.open();
    assumeTrue(torch.location().files().contains("libopenblas.so.0"));
  }

  @AfterEach
  void asBefore() {
    scope.close();
    assertThat(LibTorch.open(torch.location(), 1).threads()).isEqualTo(1);
  }

  private Tensor random(long... shape) {
    float[] elements = new float[Math.toIntExact(LongStream.of(shape).reduce(1, (a, b) -> a * b))];
    for (int i = 0; i < elements.length; i++) {
      elements[i] = (float) random.nextGaussian();
    }
    return Tensor.of(torch, elements, shape);
  }

  private void threads(int count) {
    assertThat(LibTorch.open(torch.location(), count).threads()).isEqualTo(count);
  }

  static Stream<UnaryOperator<Tensor>> functions() {
    return Stream.of(Ops::gelu, Ops::silu, Ops::sigmoid);
  }

  @ParameterizedTest
  @MethodSource("functions")
  void elementsDontDependOnThreadsOrOnThoseBehindThem(UnaryOperator<Tensor> function) {
    Tensor x = random(100_003);
    float[] all = function.apply(x).toFloats();
    for (int count : THREADS) {
      threads(count);
      for (int length : new int[] {1, 17, 1000, 16_385, 32_768, 40_960, 98_309, 100_003}) {
        assertThat(function.apply(x.narrow(0, 0, length)).toFloats())
            .as(length + " elements, threads " + count)
            .isEqualTo(Arrays.copyOf(all, length));
      }
    }
  }

  /**
   * Inputs, outputs: of small products and of large ones, depths that OpenBLAS and oneDNN divide
   * among them.
   */
  @ParameterizedTest
  @CsvSource({"32, 64", "100, 77", "320, 320", "320, 960", "1280, 320", "768, 3072", "2080, 96"})
  void rowsOfAProductDontDependOnHowManyThereAre(int depth, int width) {
    Tensor x = random(1300, depth);
    Tensor weight = random(width, depth);
    Tensor bias = random(width);
    List<UnaryOperator<Tensor>> layers =
        List.of(in -> Ops.linear(in, weight, bias), in -> Ops.linearGelu(in, weight, bias));
    for (UnaryOperator<Tensor> layer : layers) {
      threads(1);
      float[] all = layer.apply(x).toFloats();
      for (int count : THREADS) {
        threads(count);
        for (int rows : new int[] {1, 2, 7, 18, 100, 300, 301, 640, 1300}) {
          assertThat(layer.apply(x.narrow(0, 0, rows)).toFloats())
              .as(rows + " rows, threads " + count)
              .isEqualTo(Arrays.copyOf(all, rows * width));
        }
      }
    }
  }

  /** Channels, output channels, edge, kernel: by one thread libtorch takes other code for these. */
  @ParameterizedTest
  @CsvSource({"144, 96, 64, 1", "144, 48, 8, 1", "144, 144, 4, 3", "16, 48, 4, 3"})
  void convolutionsDontDependOnThreads(int channels, int outputs, int edge, int kernel) {
    Tensor x = random(1, channels, edge, edge);
    Tensor weight = random(outputs, channels, kernel, kernel);
    Tensor bias = random(outputs);
    float[] one = Ops.conv2d(x, weight, bias, 1, kernel / 2).toFloats();
    for (int count : THREADS) {
      threads(count);
      assertThat(Ops.conv2d(x, weight, bias, 1, kernel / 2).toFloats()).isEqualTo(one);
    }
  }

  @Test
  void rotatedHeadsDontDependOnThreadsOrOtherRows() {
    Tensor projected = random(3, 169, 3, 10, 32);
    Tensor factors = random(2, 10);
    Tensor positions = Ops.asComplex(random(169, 16, 2));
    PlainOps ops = new PlainOps();
    float[] one = ops.splitHeads(projected, factors, positions, true, null).k().toFloats();
    for (int count : THREADS) {
      threads(count);
      assertThat(ops.splitHeads(projected, factors, positions, true, null).k().toFloats())
          .isEqualTo(one);
      Tensor first = projected.narrow(0, 0, 1).contiguous();
      assertThat(ops.splitHeads(first, factors, positions, true, null).k().toFloats())
          .isEqualTo(Arrays.copyOf(one, one.length / 3));
    }
  }

  /** Keys of a row and how far its neighbours pad it. */
  @ParameterizedTest
  @CsvSource({"4, 18", "17, 21", "64, 450"})
  void paddedRowsAttendAsAlone(int keys, int padded) {
    Tensor q = random(2, 4, 36, 32);
    Tensor k = random(2, 4, padded, 32);
    Tensor v = random(2, 4, padded, 32);
    Tensor mask = Tensor.full(torch, 0, DType.F32, Device.CPU, 2, 1, 1, padded);
    torch.fill(mask.narrow(0, 0, 1).narrow(3, keys, padded - keys), -1e4);
    float[] alone =
        Ops.attention(
                q.narrow(0, 0, 1),
                k.narrow(0, 0, 1).narrow(2, 0, keys),
                v.narrow(0, 0, 1).narrow(2, 0, keys),
                null,
                0.2)
            .toFloats();
    float[] both = Ops.attentionOverPadded(q, k, v, mask, 0.2).toFloats();
    assertThat(Arrays.copyOf(both, alone.length)).isEqualTo(alone);
    float[] masked = Ops.attention(q, k, v, mask, 0.2).toFloats();
    for (int i = 0; i < both.length; i++) {
      assertThat(both[i]).isCloseTo(masked[i], within(1e-5f));
    }
  }

  @Test
  void picturesDontDependOnThreads() {
    GenerationRequest request =
        GenerationRequest.of(
            List.of("a cat"),
            Optional.empty(),
            1,
            5,
            ScaleGrids.parse("1x1,2x2,4x4"),
            SamplingOptions.of(3, 0.7, 0.97),
            CachePolicy.FULL);
    try (ImageGenerator model =
        new ImageGenerator(TestDevice.model(), torch, Device.CPU, DType.F32)) {
      threads(1);
      byte[] one = draw(model, request);
      threads(2);
      assertThat(draw(model, request)).isEqualTo(one);
    }
  }

  private static byte[] draw(ImageGenerator model, GenerationRequest request) {
    return model.generate(request, GenerationListener.NONE).images().getFirst().pixels().rgb();
  }
}
