package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.profile.OrdersFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HeadOrdersTest {
  @TempDir Path folder;

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("orders.json"), text);
  }

  @Test
  void authorsFile() {
    HeadOrders orders = Goldens.orders2b();
    assertThat(orders.atom(3, 0)).isEqualTo(new Atom(3, 14, 0));
    assertThat(orders.atom(3, 1)).isEqualTo(new Atom(3, 7, 8));
    assertThat(orders.lastSource()).isEqualTo(11);
  }

  /** Two heads, one layer, source scales 1 and 2; what is wrong comes in the reference's order. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[[[0,0],[1,0]]] | : has 1 orders; expected 2, for source scales 1 to 2",
        "[[], [], []] | : has 3 orders; expected 2, for source scales 1 to 2",
        "[[[9,9]], [[0,0],[1,0]]] | : source scale 1 has 1 entries; expected 2,",
        "[[[0,0],[1,0]], [[0,0],[1,0],[1,0]]] | : source scale 2 has 3 entries; expected 2,",
        "[7, [[0,0],[1,0]]] | : source scale 1 has no order;",
        "[[[0,0],5], [[0,0]]] | : source scale 1, entry 1 is no pair; expected [head, layer]",
        "[[[0],[1,0]], [[0,0]]] | : source scale 1, entry 0 is no pair; expected [head, layer]",
        "[[[0,null],[1,0]], []] | : source scale 1, entry 0 is no pair; expected [head, layer]",
        "[[[0,0],[2,1]], [[0,0]]] | : source scale 1, entry 1 has head 2; expected 0 to 1",
        "[[[0,0],[-1,0]], [[0,0]]] | : source scale 1, entry 1 has head -1; expected 0 to 1",
        "[[[0.5,0],[1,0]], [[0,0]]] | : source scale 1, entry 0 has head 0.5; expected 0 to 1",
        "[[[1e300,0],[1,0]], []] | : source scale 1, entry 0 has head 1.0E300; expected 0 to 1",
        "[[[0,0],[1,1]], [[0,0]]] | : source scale 1, entry 1 has layer 1; expected 0 to 0",
        "[[[0,0],[0,0]], [[0,0]]] | : source scale 1, entry 1 repeats [0, 0] of entry 0;",
        "[[[0,0],[1,0]], [[1,0],[1,0]]] | : source scale 2, entry 1 repeats [1, 0] of entry 0;",
        "{\"orders\": 3} | : orders is 3; expected a list",
        "{} | : orders is missing; expected a list",
        "3 | : is not a JSON object or list",
        "[] [] | : has text after its JSON document",
        "[[[0,0] | : can't be read as JSON (Unexpected end-of-input: expected close marker for Array, line 1, column ",
      })
  void refusalsNameThePosition(String text, String message) throws IOException {
    Path file = write(text);
    assertThatThrownBy(() -> OrdersFile.read(file, 1, 2, 1, 2))
        .isInstanceOf(UserException.class)
        .message()
        .startsWith(file + message)
        .hasLineCount(1);
  }

  /** Jackson tells no place of these. */
  @ParameterizedTest
  @ValueSource(strings = {"[", "1"})
  void refusesWhatIsTooDeepOrTooLong(String repeated) throws IOException {
    Path file = write("[" + repeated.repeat(5000) + "]");
    assertThatThrownBy(() -> OrdersFile.read(file, 1, 2, 1, 2))
        .isInstanceOf(UserException.class)
        .message()
        .startsWith(file + ": can't be read as JSON (")
        .hasLineCount(1);
  }

  /** The positions that the reference names for broken copies of the authors' orders. */
  @Test
  void positionsOfTheReference() {
    List<?> cases =
        (List<?>) JsonObject.readDocument(Goldens.file("schedules/infinity-2b_errors.json"));
    int seen = 0;
    for (Object item : cases) {
      Map<?, ?> golden = (Map<?, ?>) item;
      if (!golden.containsKey("case")) {
        continue;
      }
      List<Object> orders =
          new ArrayList<>(
              (List<?>) JsonObject.readDocument(Goldens.file("orders-infinity-2b.json")));
      List<Object> first = new ArrayList<>((List<?>) orders.getFirst());
      orders.set(0, first);
      switch ((String) golden.get("case")) {
        case "too few orders" -> orders.removeLast();
        case "duplicate entry" -> first.set(1, first.getFirst());
        case "head out of range" -> first.set(0, List.of(16.0, 0.0));
        case "layer out of range" -> first.set(0, List.of(0.0, 32.0));
        case "short order" -> first.removeLast();
        case "entry not a pair" -> first.set(0, 3.0);
        default -> throw new IllegalStateException("unknown case " + golden);
      }
      String error = (String) golden.get("error");
      Matcher position = Pattern.compile("position (\\d+)|order\\[(\\d+)\\]").matcher(error);
      String expected =
          position.find()
              ? "source scale 3, entry "
                  + (position.group(1) == null ? position.group(2) : position.group(1))
              : error.contains("got 511") ? "source scale 3 has 511 entries" : "has 8 orders";
      assertThatThrownBy(() -> HeadOrders.parse("broken", orders, 32, 16, 3, 11))
          .as(error)
          .isInstanceOf(UserException.class)
          .message()
          .contains(expected);
      seen++;
    }
    assertThat(seen).isEqualTo(6);
  }

  @Test
  void listOrObject() throws IOException {
    String list = "[[[0,0],[1,0]],[[1,0],[0,0]]]";
    HeadOrders orders = OrdersFile.read(write(list), 1, 2, 1, 2);
    assertThat(OrdersFile.read(write("{\"orders\":" + list + "}"), 1, 2, 1, 2)).isEqualTo(orders);
    assertThat(orders.atom(2, 0)).isEqualTo(new Atom(2, 1, 0));
  }

  @Test
  void ordersOfAnotherModelAreRefused() {
    assertThatThrownBy(() -> PruningSchedule.of(Goldens.SHAPE_2B, Goldens.orders8b(), 0.1))
        .isInstanceOf(UserException.class)
        .hasMessage("the head orders are of 40 layers of 28 heads; expected 32 layers of 16 heads");
    ScheduleShape shape = new ScheduleShape(32, 16, Goldens.SQUARE_1M, 2, 2, 11);
    assertThatThrownBy(() -> PruningSchedule.of(shape, Goldens.orders2b(), 0.1))
        .isInstanceOf(UserException.class)
        .hasMessage("the head orders are of source scales 3 to 11; expected 2 to 11");
  }
}
