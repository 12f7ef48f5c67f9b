package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Safetensors;
import io.heatkv.error.UserException;
import io.heatkv.profile.OrdersFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

public class HeadScoresTest {
  private static final ValueLayout.OfDouble F64 =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  static List<Path> goldens() {
    return Goldens.files("tiny-a", "scas_.*\\.safetensors");
  }

  /** The masses of each prompt, [target][source][layer][head]. */
  static List<double[][][][]> masses(Checkpoint golden) {
    long[] shape = golden.entry("mass").shape();
    MemorySegment bytes = golden.entry("mass").bytes();
    int layers = (int) shape[1];
    int heads = (int) shape[2];
    int scales = (int) shape[3];
    List<double[][][][]> prompts = new ArrayList<>();
    long next = 0;
    for (int p = 0; p < shape[0]; p++) {
      double[][][][] masses = new double[scales][scales][layers][heads];
      for (int l = 0; l < layers; l++) {
        for (int h = 0; h < heads; h++) {
          for (int target = 0; target < scales; target++) {
            for (int source = 0; source < scales; source++) {
              masses[target][source][l][h] = bytes.getAtIndex(F64, next++);
            }
          }
        }
      }
      prompts.add(masses);
    }
    return prompts;
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void scoresAndOrdersOfTheReference(Path file) {
    try (Checkpoint golden = Safetensors.open(file)) {
      long[] shape = golden.entry("scores").shape();
      int layers = (int) shape[0];
      int heads = (int) shape[1];
      int scales = (int) shape[2];
      HeadScores scores = HeadScores.none(layers, heads, scales, 3);
      for (double[][][][] masses : masses(golden)) {
        scores = scores.plus(masses);
      }
      MemorySegment expected = golden.entry("scores").bytes();
      MemorySegment accum = golden.entry("accum").bytes();
      for (int i = 0; i < layers * heads * scales; i++) {
        int source = i % scales;
        int head = i / scales % heads;
        int layer = i / scales / heads;
        double score = expected.getAtIndex(F64, i);
        if (Double.isNaN(score)) {
          assertThat(scores.score(source, layer, head)).isNaN();
        } else {
          assertThat(scores.score(source, layer, head)).isCloseTo(score, within(1e-7));
          assertThat(scores.sum(source, layer, head) * 0x1p-40)
              .isCloseTo(accum.getAtIndex(F64, i), within(1e-7));
        }
      }
      String name = file.getFileName().toString().replace(".safetensors", "_orders.json");
      assertThat(scores.orders())
          .isEqualTo(OrdersFile.read(file.resolveSibling(name), layers, heads, 3, scales - 2));
    }
  }

  /** Two layers, two heads, three scales, no sink: closed sums. */
  @Test
  void byHand() {
    double[][][][] masses = new double[3][][][];
    masses[1] = new double[][][] {{{0.5, 0.25}, {0.5, 1}}};
    masses[2] = new double[][][] {{{0.25, 0.5}, {0.25, 0}}, {{0, 0.125}, {0, 0}}};
    HeadScores scores = HeadScores.none(2, 2, 3, 0).plus(masses);
    assertThat(scores.score(0, 0, 0)).isEqualTo(0.375);
    assertThat(scores.score(0, 0, 1)).isEqualTo(0.375);
    assertThat(scores.score(0, 1, 0)).isEqualTo(0.375);
    assertThat(scores.score(0, 1, 1)).isEqualTo(0.5);
    assertThat(scores.score(1, 0, 1)).isEqualTo(0.125);
    assertThat(scores.score(2, 0, 0)).isNaN();
    HeadOrders orders = scores.orders();
    // Ties go to the smaller head, then to the smaller layer.
    assertThat(List.of(orders.atom(0, 0), orders.atom(0, 1), orders.atom(0, 2), orders.atom(0, 3)))
        .containsExactly(
            new Atom(0, 0, 0), new Atom(0, 0, 1), new Atom(0, 1, 0), new Atom(0, 1, 1));
    assertThat(orders.atom(1, 3)).isEqualTo(new Atom(1, 1, 0));
  }

  @Test
  void massesAreRoundedOnceToMultiplesOf2ToTheMinus40() {
    double[][][][] masses = new double[2][1][1][1];
    masses[1][0][0][0] = 0.1;
    HeadScores scores = HeadScores.none(1, 1, 2, 0);
    for (int i = 0; i < 1000; i++) {
      scores = scores.plus(masses);
    }
    // 0.1 * 2^40 = 109951162777.6
    assertThat(scores.sum(0, 0, 0)).isEqualTo(1000 * 109_951_162_778L);
  }

  @Test
  void impossibleMassesAreRefused() {
    HeadScores none = HeadScores.none(1, 1, 2, 0);
    for (double mass : new double[] {Double.NaN, -0.1, 1.1, Double.POSITIVE_INFINITY}) {
      assertThatThrownBy(() -> none.plus(new double[][][][] {{}, {{{mass}}}}))
          .isInstanceOf(UserException.class)
          .hasMessageStartingWith(
              "attention mass " + mass + " of scale 1 on scale 0 in layer 0, head 0 is impossible");
    }
    assertThatThrownBy(none::orders).isInstanceOf(UserException.class);
    assertThatThrownBy(() -> HeadScores.none(1, 1, 4, 3)).isInstanceOf(UserException.class);
  }

  public static double[][][][] random(SplittableRandom random, int scales, int layers, int heads) {
    double[][][][] masses = new double[scales][scales][layers][heads];
    for (double[][][] target : masses) {
      for (double[][] source : target) {
        for (double[] layer : source) {
          for (int h = 0; h < heads; h++) {
            layer[h] = (float) random.nextDouble();
          }
        }
      }
    }
    return masses;
  }
}
