package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.load.ModelSource;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What runs before a first pass, while weights are loaded. */
class RehearsalTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final List<String> KEEPING = List.of("full", "int8");

  /** A call of a cache: by which thread, and what it threw, if anything. */
  private record Call(Thread thread, int layer, int scale, Optional<RuntimeException> failure) {}

  /** A policy whose caches tell who attends. */
  private record Watched(CachePolicy policy, List<Call> calls) implements CachePolicy {
    @Override
    public String name() {
      return policy.name();
    }

    @Override
    public KvPlan plan(KvShape shape) {
      KvPlan plan = policy.plan(shape);
      return new KvPlan(
          plan.bytes(),
          plan.parts(),
          plan.peakBytes(),
          plan.copyBytes(),
          (backend, device) -> watched(plan.open(backend, device)));
    }

    private KvCache watched(KvCache cache) {
      return new KvCache() {
        @Override
        public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
          Optional<RuntimeException> failure = Optional.empty();
          try {
            return cache.attend(layer, scale, q, k, v);
          } catch (RuntimeException e) {
            failure = Optional.of(e);
            throw e;
          } finally {
            calls.add(new Call(Thread.currentThread(), layer, scale, failure));
          }
        }

        @Override
        public void removeRows(int first, int count) {
          cache.removeRows(first, count);
        }

        @Override
        public KvMemory memory() {
          return cache.memory();
        }

        @Override
        public void close() {
          cache.close();
        }
      };
    }
  }

  /** Plans of cuDNN belong to a thread; zeros leave no trace in what is drawn. */
  @ParameterizedTest
  @ValueSource(strings = {"full", "heatkv", "snapkv", "int8"})
  void theThreadThatRehearsesEveryScaleDraws(String name) {
    long live = BACKEND.liveTensors();
    try (ModelDescription description = ModelSource.find(ModelSource.EMBEDDED)) {
      List<Call> calls = Collections.synchronizedList(new ArrayList<>());
      GenerationRequest request =
          new GenerationRequest(
              List.of(new PictureRequest("a red apple", 3, description.sampling())),
              description.grids(),
              new Watched(policy(name, description), calls));
      int scales = request.grids().count();
      byte[] rehearsed;
      try (DevicePool pool =
          DevicePool.load(
              description,
              BACKEND,
              List.of(TestDevice.device()),
              DType.F32,
              Optional.of(request))) {
        rehearsed = drawn(pool, request);
        List<Call> before = List.copyOf(calls.subList(0, scales));
        assertThat(before).allSatisfy(call -> assertThat(call.failure).isEmpty());
        assertThat(before).extracting(Call::layer).containsOnly(0);
        assertThat(before)
            .extracting(Call::scale)
            .isEqualTo(IntStream.range(0, scales).boxed().toList());
        assertThat(calls).hasSizeGreaterThan(scales);
        assertThat(calls).extracting(Call::thread).containsOnly(before.getFirst().thread);
      }
      try (DevicePool pool =
          DevicePool.load(description, BACKEND, List.of(TestDevice.device()), DType.F32)) {
        assertThat(drawn(pool, request)).isEqualTo(rehearsed);
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static CachePolicy policy(String name, ModelDescription description) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            Budget.parse(KEEPING.contains(name) ? "1" : "0.5"),
            description.kvShape(DType.F32, description.grids()),
            Optional.empty(),
            () -> ModelProfile.find(description, description.grids(), Optional.empty())));
  }

  private static byte[] drawn(DevicePool pool, GenerationRequest request) {
    List<byte[]> pictures = new ArrayList<>();
    pool.run(
        1,
        (generator, _, _) -> generator.generate(request).images().getFirst().pixels().rgb(),
        pictures::add);
    return pictures.getFirst();
  }
}
