package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Closed forms of column sums; what devices do with random numbers is checked beside float64. */
class ColumnSumsTest {
  private static final double TOLERANCE = 1e-5;
  private static final int DIM = 16;

  private final Backend backend = TestDevice.backend();
  private final DeviceOps ops = backend.ops(TestDevice.device());
  private final long before = backend.liveTensors();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open();
  }

  @AfterEach
  void asBefore() {
    scope.close();
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  /** Entries [rows, heads, count, DIM] of which one channel isn't 0. */
  private Tensor entries(int rows, int heads, double... values) {
    float[] all = new float[rows * heads * values.length * DIM];
    for (int i = 0; i < all.length; i += DIM) {
      all[i + 3] = (float) values[i / DIM % values.length];
    }
    return Tensor.of(backend, all, rows, heads, values.length, DIM).to(TestDevice.device());
  }

  @Test
  void queriesThatAskNothingPayAllKeysTheSame() {
    Tensor q = entries(2, 3, new double[300]);
    Tensor keys = entries(2, 3, 1, -1, 2, 0, 5);
    Tensor earlier = entries(2, 3, 7, 8, 9);
    assertThat(ops.columnSums(q, keys, earlier, null).shape()).containsExactly(2, 3, 8);
    assertAll(ops.columnSums(q, keys, earlier, null), 300 / 8.0);
    assertAll(ops.columnSums(q, keys, null, null), 300 / 5.0);
  }

  private static void assertAll(Tensor sums, double expected) {
    for (double sum : sums.toDoubles()) {
      assertThat(sum).isEqualTo(expected, within(TOLERANCE * expected));
    }
  }

  @Test
  void earlierKeysComeFirst() {
    // Scores of log 3 for the only earlier key, 0 for two current ones; a query that asks nothing.
    double[] sums =
        ops.columnSums(entries(1, 1, Math.log(3), 0), entries(1, 1, 0, 0), entries(1, 1, 1), null)
            .toDoubles();
    double[] expected = {3.0 / 5 + 1.0 / 3, 1.0 / 5 + 1.0 / 3, 1.0 / 5 + 1.0 / 3};
    assertThat(sums).containsExactly(expected, within(TOLERANCE));
  }

  @Test
  void manyQueriesCountAsOften() {
    double[] queries = new double[700];
    Arrays.fill(queries, 0, 400, Math.log(2));
    double[] keys = new double[200];
    keys[199] = 1;
    double[] sums =
        ops.columnSums(entries(1, 2, queries), entries(1, 2, keys), null, null).toDoubles();
    for (int i = 0; i < sums.length; i++) {
      double expected = (i % 200 == 199 ? 2 : 1) * 400.0 / 201 + 300.0 / 200;
      assertThat(sums[i]).isEqualTo(expected, within(TOLERANCE * 700));
    }
  }

  @Test
  void whatOneQueryPaysIsOneInAll() {
    // Scores so far apart that the largest alone weighs anything, and beyond what exp holds.
    double[] sums =
        ops.columnSums(entries(1, 1, 300), entries(1, 1, 0, -5), entries(1, 1, 1, 4), null)
            .toDoubles();
    assertThat(sums).containsExactly(new double[] {0, 1, 0, 0}, within(TOLERANCE));
  }
}
