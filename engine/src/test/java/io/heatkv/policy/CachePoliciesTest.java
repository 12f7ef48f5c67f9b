package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PolicyCases;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelSet;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class CachePoliciesTest {
  private static final KvShape SHAPE =
      PolicyCases.shape(2, 2, 3, ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,9x9"));

  @Test
  void listsThePoliciesInTheOrderOfRegistration() {
    assertThat(CachePolicies.names())
        .containsExactly(
            "full",
            "int8",
            "kivi",
            "heatkv",
            "heatkv-greedy",
            "heatkv-paper",
            "streaming-llm",
            "sliding-window",
            "random",
            "snapkv",
            "h2o",
            "pyramidkv",
            "scalekv",
            "hack",
            "ams-kv");
  }

  @Test
  void everyNameMakesThePolicyOfThatName() {
    for (String name : CachePolicies.names()) {
      double budget = CachePolicies.whole(name).isPresent() ? 1 : 0.5;
      CachePolicy policy = CachePolicies.create(name, PolicyCases.inputs(SHAPE, budget, 1));
      assertThat(policy.name()).isEqualTo(name);
      assertThat(policy.plan(SHAPE).bytes()).isBetween(1L, (long) (budget * SHAPE.fullBytes()));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "snapvk, snapkv",
    "HeatKV, heatkv",
    "scale-kv, scalekv",
    "h20, h2o",
    "stream-llm, streaming-llm"
  })
  void anUnknownNameGetsASuggestionAndTheList(String typed, String meant) {
    assertThatThrownBy(() -> CachePolicies.create(typed, PolicyCases.inputs(SHAPE, 0.5, 1)))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("KV policy '" + typed + "' is unknown; did you mean " + meant + "?")
        .hasMessageEndingWith("Known: " + String.join(", ", CachePolicies.names()));
  }

  @ParameterizedTest
  @MethodSource("io.heatkv.cache.EvictionPropertiesTest#names")
  void aBudgetBelowTheFloorSaysTheFloor(String name) {
    assertThatThrownBy(() -> CachePolicies.create(name, PolicyCases.inputs(SHAPE, 0.001, 1)))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("the KV budget of 0.00")
        .satisfies(e -> {
          Matcher floor =
              Pattern.compile("below the floor of policy " + name + ", ([0-9.]+) \\(([0-9]+) b")
                  .matcher(String.valueOf(e.getMessage()));
          assertThat(floor.find()).isTrue();
          // What it says is enough, and a slot less is not.
          double ratio = Double.parseDouble(floor.group(1));
          CachePolicies.create(name, PolicyCases.inputs(SHAPE, ratio, 1));
          long bytes = Long.parseLong(floor.group(2));
          PolicyInputs less =
              new PolicyInputs(
                  new Budget.Bytes(bytes - SHAPE.bytesPerHeadToken()),
                  SHAPE,
                  Optional.empty(),
                  () -> PolicyCases.profile(SHAPE, 1),
                  LevelSet.ALL,
                  KvStorage.NATIVE);
          assertThatThrownBy(() -> CachePolicies.create(name, less))
              .isInstanceOf(UserException.class);
        });
  }

  @Test
  void fullTakesNoBudget() {
    assertThatThrownBy(() -> CachePolicies.create("full", PolicyCases.inputs(SHAPE, 0.5, 1)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("leave out the KV budget");
    CachePolicy full = CachePolicies.create("full", PolicyCases.inputs(SHAPE, 1, 1));
    try (KvCache cache = full.plan(SHAPE).open(TestDevice.backend(), TestDevice.device())) {
      assertThat(cache.memory().storage()).isEqualTo(SHAPE.fullBytes());
    }
  }
}
