package io.heatkv.var;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Classes by index and name. */
class ClassNamesTest {
  /** Indices of the official demo's classes, and others as ImageNet-1k numbers them. */
  @ParameterizedTest
  @CsvSource({
    "980, 980",
    "volcano, 980",
    "beacon, 437",
    "lighthouse, 437",
    "macaw, 88",
    "American eagle, 22",
    "fountain, 562",
    "golden retriever, 207",
    "Golden  Retriever, 207",
    "golden_retriever, 207",
    "' GOLDEN RETRIEVER ', 207",
    "tench, 0",
    "Tinca tinca, 0",
    "toilet paper, 999",
    "harp, 594",
    "jack-o'-lantern, 607"
  })
  void meansOneClass(String text, int expected) {
    assertThat(ClassNames.parse(text, 1000)).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "golden retreiver, did you mean golden retriever",
    "volcanoe, did you mean volcano",
    "retriever, 'did you mean golden retriever, Labrador retriever, flat-coated retriever'",
    "1000, 'class 1000 is out of range; expected 0 to 999'",
    "99999999999, class '99999999999' is unknown",
    "-1, class '-1' is unknown",
    "crane, 'is the name of several; give the index: 134 (crane) or 517 (crane)'",
    "panda, '387 (lesser panda, red panda, panda, bear cat, cat bear, Ailurus fulgens) or 388'"
  })
  void refusesWhatIsNoClass(String text, String expected) {
    assertThatThrownBy(() -> ClassNames.parse(text, 1000))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected)
        .hasMessageNotContaining("\n");
  }

  @Test
  void everyClassHasAName() {
    assertThat(IntStream.range(0, ClassNames.COUNT).mapToObj(ClassNames::name))
        .hasSize(1000)
        .noneMatch(String::isBlank)
        .startsWith("tench", "goldfish", "great white shark")
        .endsWith("ear", "toilet tissue");
  }

  @Test
  void modelsOfOtherClassesKnowIndicesOnly() {
    assertThat(ClassNames.parse("19", 20)).isEqualTo(19);
    assertThatThrownBy(() -> ClassNames.parse("20", 20)).hasMessageContaining("expected 0 to 19");
    assertThatThrownBy(() -> ClassNames.parse("tench", 20))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("20 classes have no names");
  }
}
