package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.family.FirstPass;
import io.heatkv.family.PictureRequest;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Parts of a first pass that run while other weights are loaded. */
class LoadingInPartsTest {
  private static final Backend BACKEND = TestDevice.backend();

  private final AtomicInteger ended = new AtomicInteger();

  /** Runs parts late, so that what doesn't wait for them is done before. */
  private Executor late() {
    return part ->
        Thread.ofPlatform()
            .start(() -> {
              try {
                Thread.sleep(300);
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
              part.run();
              ended.incrementAndGet();
            });
  }

  private FirstPass pass(InfinityDescription model, Executor executor) {
    return new FirstPass(
        List.of(new PictureRequest("a red apple", 0, model.sampling())), model.grids(), executor);
  }

  @Test
  void loadingEndsAfterItsParts() {
    long live = BACKEND.liveTensors();
    try (InfinityDescription model = TestDevice.model();
        InfinityModel _ =
            model.load(BACKEND, TestDevice.device(), DType.F32, Optional.of(pass(model, late())))) {
      assertThat(BACKEND.liveTensors()).isGreaterThan(live);
    }
    assertThat(ended).hasValue(1);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** The transformer is loaded last: weights that parts read are freed after them. */
  @Test
  void aWrongTransformerIsReportedAsEverAndLeavesNothing() {
    long live = BACKEND.liveTensors();
    try (InfinityDescription model = TestDevice.model()) {
      String alone = messageOf(model, Optional.empty());
      String beside = messageOf(model, Optional.of(pass(model, late())));
      assertThat(beside).isEqualTo(alone).contains(model.vaeFile().toString());
    }
    assertThat(ended).hasValue(1);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** A part that can't run, here for want of a picture, doesn't keep a model from loading. */
  @Test
  void aPartThatFailsIsNoFailure() {
    try (InfinityDescription model = TestDevice.model();
        InfinityModel loaded =
            model.load(
                BACKEND,
                TestDevice.device(),
                DType.F32,
                Optional.of(new FirstPass(List.of(), model.grids(), Runnable::run)))) {
      assertThat(loaded.device()).isEqualTo(TestDevice.device());
    }
  }

  /** Pictures are decoded by a thread of the model's then, and are the caller's. */
  @Test
  void anotherThreadDecodesTheSamePixels() {
    long live = BACKEND.liveTensors();
    try (InfinityDescription model = TestDevice.model();
        InfinityModel plain = model.load(BACKEND, TestDevice.device(), DType.F32);
        InfinityModel rehearsed =
            model.load(
                BACKEND, TestDevice.device(), DType.F32, Optional.of(pass(model, Runnable::run)))) {
      try (Scope _ = Scope.open()) {
        Tensor codes =
            Tensor.full(
                BACKEND, 0.1, DType.F32, TestDevice.device(), 1, model.codeChannels(), 4, 4);
        float[] pixels = plain.decode(codes).toFloats();
        assertThat(pixels).hasSize(3 * 32 * 32);
        assertThat(rehearsed.decode(codes).toFloats()).isEqualTo(pixels);
        long held = BACKEND.liveTensors();
        // Of other channels than the model's.
        Tensor wrong = Tensor.full(BACKEND, 0, DType.F32, TestDevice.device(), 1, 3, 4, 4);
        assertThatThrownBy(() -> rehearsed.decode(wrong)).isInstanceOf(TensorException.class);
        assertThat(BACKEND.liveTensors()).isEqualTo(held + 1);
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private String messageOf(InfinityDescription model, Optional<FirstPass> first) {
    String[] message = new String[1];
    assertThatThrownBy(() ->
            InfinityModel.load(
                model.name(),
                model.transformer(),
                // Not a transformer.
                model.vaeWeights(),
                model.codeChannels(),
                model.vaeWeights(),
                model.textEncoder(),
                model.textEncoderWeights(),
                BACKEND,
                TestDevice.device(),
                DType.F32,
                first))
        .isInstanceOf(UserException.class)
        .satisfies(e -> message[0] = e.getMessage());
    return message[0];
  }
}
