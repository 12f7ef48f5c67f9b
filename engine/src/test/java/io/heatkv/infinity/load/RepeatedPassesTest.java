package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.PolicyCases;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.ScaleObserver;
import io.heatkv.infinity.BitSampler;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A pass that comes again draws the same bits, however a device repeats it. */
class RepeatedPassesTest {
  private static final List<ScaleGrids> GRIDS =
      List.of(
          ScaleGrids.parse("1x1,2x2,4x4,8x8,12x12,24x24"), ScaleGrids.parse("1x1,2x3,4x6,10x6"));
  private static final TransformerConfig CONFIG =
      new TransformerConfig(
          5, 256, 2, 1024, 8, 256, 16, 1, true, RotaryNormalization.ROUNDED, true, false);
  private static final RandomInfinity SIZES =
      new RandomInfinity("small", CONFIG, GRIDS.getFirst(), 4, 3, 1, 0.97);

  private final Backend backend = TestDevice.backend();
  private final Map<Case, CachePolicy> policies = new ConcurrentHashMap<>();

  private record Case(ScaleGrids grids, String policy, int pictures, String prompt) {}

  @Test
  void passesOfAllKindsInTurnsDrawTheSameAgain() {
    DType dtype = TestDevice.device().isCuda() ? DType.BF16 : DType.F32;
    long before = backend.liveTensors();
    try (NextScaleModel model = SIZES.load(backend, TestDevice.device(), dtype)) {
      long loaded = backend.liveTensors();
      Map<Case, List<float[]>> first = new LinkedHashMap<>();
      for (int pass = 0; pass < 5; pass++) {
        for (ScaleGrids grids : GRIDS) {
          for (String policy : List.of("full", "heatkv", "heatkv-greedy", "h2o")) {
            for (int pictures : new int[] {1, 2}) {
              for (String prompt : List.of("4", "7")) {
                Case drawn = new Case(grids, policy, pictures, prompt);
                List<float[]> logits = logits(model, drawn);
                List<float[]> known = first.putIfAbsent(drawn, logits);
                if (known != null) {
                  assertThat(logits).as("%s, pass %d", drawn, pass).hasSameSizeAs(known);
                  for (int scale = 0; scale < logits.size(); scale++) {
                    assertThat(logits.get(scale))
                        .as("%s, pass %d, scale %d", drawn, pass, scale)
                        .isEqualTo(known.get(scale));
                  }
                }
              }
            }
          }
        }
        assertThat(backend.liveTensors()).isEqualTo(loaded);
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  /** Others record and wait for the device meanwhile. */
  @Test
  void passesOfManyThreadsDrawTheSame() throws Exception {
    DType dtype = TestDevice.device().isCuda() ? DType.BF16 : DType.F32;
    try (NextScaleModel model = SIZES.load(backend, TestDevice.device(), dtype)) {
      long loaded = backend.liveTensors();
      List<Case> cases = new ArrayList<>();
      for (String policy : List.of("full", "heatkv", "heatkv-greedy")) {
        cases.add(new Case(GRIDS.getLast(), policy, 1, "4"));
      }
      List<List<float[]>> alone = cases.stream().map(each -> logits(model, each)).toList();
      List<CompletableFuture<Void>> threads = new ArrayList<>();
      for (int thread = 0; thread < 3; thread++) {
        int first = thread;
        threads.add(
            CompletableFuture.runAsync(() -> {
              for (int pass = 0; pass < 12; pass++) {
                int drawn = (first + pass) % cases.size();
                List<float[]> logits = logits(model, cases.get(drawn));
                for (int scale = 0; scale < logits.size(); scale++) {
                  assertThat(logits.get(scale))
                      .as("%s, scale %d", cases.get(drawn), scale)
                      .isEqualTo(alone.get(drawn).get(scale));
                }
              }
            }));
      }
      for (CompletableFuture<Void> thread : threads) {
        thread.get();
      }
      assertThat(backend.liveTensors()).isEqualTo(loaded);
    }
  }

  private List<float[]> logits(NextScaleModel model, Case drawn) {
    KvShape shape = model.kvShape(1, 2, drawn.grids);
    CachePolicy policy =
        policies.computeIfAbsent(
            new Case(drawn.grids, drawn.policy, 1, ""),
            _ -> {
              boolean isWhole = CachePolicies.whole(drawn.policy).isPresent();
              return CachePolicies.create(
                  drawn.policy, PolicyCases.inputs(shape, isWhole ? 1 : 0.3, 3));
            });
    GenerationRequest request =
        new GenerationRequest(
            IntStream.range(0, drawn.pictures)
                .mapToObj(i -> new PictureRequest(drawn.prompt, i, SIZES.sampling()))
                .toList(),
            drawn.grids,
            policy);
    List<float[]> all = new ArrayList<>();
    try (Conditioning text = model.encode(request.pictures(), true);
        Generation generation =
            Generation.open(
                model,
                text,
                request,
                (_, logits) -> {
                  all.add(logits.toFloats());
                  return BitSampler.argmax(logits);
                },
                ScaleObserver.NONE)) {
      while (!generation.isDone()) {
        generation.step();
      }
    }
    return all;
  }
}
