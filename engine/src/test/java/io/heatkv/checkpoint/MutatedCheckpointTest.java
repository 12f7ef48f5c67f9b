package io.heatkv.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A short run of {@link Mutants}; {@link CheckpointFuzzTest} is the long one. */
class MutatedCheckpointTest {
  private static final int COUNT = 1000;

  @ParameterizedTest
  @EnumSource
  void everyMutantOpensOrIsRefused(Mutants.Kind kind) {
    int opened = Mutants.run(kind, COUNT, 20260101L);
    // Both outcomes must occur, or the mutations are too tame or too wild to test anything.
    assertThat(opened).isBetween(COUNT / 100, COUNT * 9 / 10);
  }
}
