package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BudgetTest {
  @ParameterizedTest
  @CsvSource({
    "0.1,0.1",
    "0,0",
    "1,1",
    "1.0,1",
    ".5,0.5",
    "5e-2,0.05",
    "10%,0.1",
    "12.3%,0.123",
    "100%,1",
    "0.7 %,0.007",
    "0.008740272373540855,0.008740272373540855"
  })
  void ratios(String text, String ratio) {
    assertThat(Budget.parse(text)).isEqualTo(new Budget.Ratio(Double.parseDouble(ratio)));
    assertThat(Budget.parse(text).ratio(12345)).isEqualTo(Double.parseDouble(ratio));
  }

  @ParameterizedTest
  @CsvSource({
    "256MiB,268435456",
    "1.5GB,1500000000",
    "1.5GiB,1610612736",
    "7B,7",
    "7 b,7",
    "1KiB,1024",
    "1KB,1000",
    "3mb,3000000",
    "0.5B,0",
    "2TiB,2199023255552",
    "1e3KB,1000000",
    "1MB,1000000",
    "1MiB,1048576",
    "1TB,1000000000000",
    "1.9B,1",
    "9223372036854775807B,9223372036854775807"
  })
  void bytes(String text, long bytes) {
    assertThat(Budget.parse(text)).isEqualTo(new Budget.Bytes(bytes));
  }

  @Test
  void bytesBecomeARatioOfTheFullCache() {
    assertThat(Budget.parse("256MiB").ratio(1L << 30)).isEqualTo(0.25);
    assertThat(Budget.parse("8GiB").ratio(1L << 30)).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-Double.MIN_VALUE, 1.0000000000000002, Double.NaN})
  void ratiosAreFromZeroToOne(double ratio) {
    assertThat(new Budget.Ratio(0).ratio(1)).isZero();
    assertThat(new Budget.Bytes(0).ratio(1)).isZero();
    assertThatThrownBy(() -> new Budget.Ratio(ratio)).isInstanceOf(UserException.class);
    assertThatThrownBy(() -> new Budget.Bytes(-1)).isInstanceOf(UserException.class);
  }

  @Test
  void longTextsAreCutInMessages() {
    String forty = "x".repeat(40);
    assertThatThrownBy(() -> Budget.parse(forty)).hasMessageStartingWith("budget '" + forty + "'");
    assertThatThrownBy(() -> Budget.parse(forty + "x"))
        .hasMessageStartingWith("budget '" + forty + "…'");
  }

  /** The peak of the schedule never needs more bytes than were asked for. */
  @Test
  void bytesAreNeverExceeded() {
    ScheduleShape shape = Goldens.SHAPE_2B;
    HeadOrders orders = Goldens.orders2b();
    long perHeadToken = 2L * 2 * 128 * 2;
    long full = shape.allHeads() * shape.fullTokens() * perHeadToken;
    for (long bytes = 20_000_000; bytes < full; bytes = bytes * 5 / 4 + 1) {
      double ratio = new Budget.Bytes(bytes).ratio(full);
      assertThat(PruningSchedule.of(shape, orders, ratio).peakTokens() * perHeadToken)
          .isLessThanOrEqualTo(bytes);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nan",
        "NaN",
        "",
        " ",
        "-0.1",
        "-10%",
        "1.5",
        "101%",
        "infinity",
        "0x1p-1",
        "0.1f",
        "ten",
        "256",
        "256MeB",
        "-1MiB",
        "10%%",
        "1,5",
        "1e99999999999",
        "9e999GB",
        "0.1\n0.2",
        "MiB",
        "1e99GB",
        "9223372036854775808B",
        "-0.0001",
        "1.0000001",
        "-1e-9%"
      })
  void refusals(String text) {
    assertThatThrownBy(() -> Budget.parse(text))
        .isInstanceOf(UserException.class)
        .message()
        .startsWith("budget '")
        .contains("expected a ratio of the full cache such as 0.1, 10%, or a size such as 256MiB")
        .doesNotContainPattern("\\p{Cntrl}");
  }
}
