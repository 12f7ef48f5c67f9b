package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What caches tell of scales that a device may have a recording of. */
class RepeatKeyTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4,4x6");
  private static final int LAYERS = 3;
  private static final KvShape SHAPE = new KvShape(LAYERS, 4, 2, 2, 128, DType.F32, SCALES);

  private static CachePolicy policy(String name) {
    double budget = CachePolicies.whole(name).isPresent() ? 1 : 0.5;
    return CachePolicies.create(name, PolicyCases.inputs(SHAPE, budget, 3));
  }

  private static KvCache open(CachePolicy policy) {
    return policy.plan(SHAPE).open(TestDevice.backend(), TestDevice.device());
  }

  private static void attend(KvCache cache, int scale) {
    Random random = new Random(scale);
    int tokens = SCALES.tokens(scale);
    try (Scope _ = Scope.open()) {
      for (int layer = 0; layer < LAYERS; layer++) {
        List<Tensor> qkv = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          qkv.add(
              PolicyCases.tensor(
                  PolicyCases.gaussian(random, 4 * 2 * tokens * 128), SHAPE, tokens));
        }
        cache.attend(layer, scale, qkv.get(0), qkv.get(1), qkv.get(2));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"full", "heatkv", "heatkv-greedy", "int8", "kivi"})
  void keysAreEqualOnlyForTheSameStorageAndRows(String name) {
    CachePolicy policy = policy(name);
    try (KvCache one = open(policy);
        KvCache other = open(policy)) {
      for (int scale = 0; scale < SCALES.count(); scale++) {
        Object key = one.repeatKey(scale);
        assertThat(key).isNotNull().isEqualTo(one.repeatKey(scale));
        assertThat(key).hasSameHashCodeAs(one.repeatKey(scale));
        assertThat(key).as("other memory").isNotEqualTo(other.repeatKey(scale));
        attend(one, scale);
        attend(other, scale);
        assertThat(one.repeatKey(scale)).isEqualTo(key);
      }
      Object before = one.repeatKey(1);
      one.removeRows(2, 2);
      assertThat(one.repeatKey(1)).isNotEqualTo(before);
    }
  }

  /** Where both lie in the same place, one after the other. */
  @Test
  void otherPlansHaveOtherKeys() {
    List<Object> keys = new ArrayList<>();
    for (String name : List.of("heatkv", "heatkv-greedy", "full")) {
      for (int i = 0; i < 2; i++) {
        try (KvCache cache = open(policy(name))) {
          keys.add(cache.repeatKey(2));
        }
      }
    }
    // The full cache has no plan.
    assertThat(keys.subList(0, 5)).doesNotHaveDuplicates();
  }

  @Test
  void whatIsChosenWhileDrawingHasNone() {
    try (KvCache cache = open(policy("h2o"))) {
      for (int scale = 0; scale < SCALES.count(); scale++) {
        assertThat(cache.repeatKey(scale)).isNull();
        attend(cache, scale);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"full", "heatkv", "heatkv-greedy", "int8"})
  void whatADeviceRepeatedCountsAsIfItHadBeenAsked(String name) {
    CachePolicy policy = policy(name);
    try (KvCache asked = open(policy);
        KvCache repeated = open(policy)) {
      KvMemory empty = repeated.memory();
      for (int scale = 0; scale < SCALES.count(); scale++) {
        attend(asked, scale);
        if (repeated.repeatKey(scale) == null) {
          attend(repeated, scale);
        } else {
          repeated.repeated(asked.memory());
        }
        assertThat(repeated.memory()).as("scale %d", scale).isEqualTo(asked.memory());
      }
      assertThat(repeated.memory()).isNotEqualTo(empty);
    }
  }
}
