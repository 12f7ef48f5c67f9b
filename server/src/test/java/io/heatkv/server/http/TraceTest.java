package io.heatkv.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** By the examples and rules of the W3C's Trace Context, section 3.2. */
final class TraceTest {
  private static final String ID = "4bf92f3577b34da6a3ce929d0e0e4736";

  @ParameterizedTest
  @CsvSource({
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,true",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,true",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be,true",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what,false",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more,false",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,false",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01,false",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01,false",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01,false",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7,false",
    "nonsense,false"
  })
  void aTraceIsGoneOnWithWhereItIsOne(String parent, boolean goesOn) {
    Trace trace = Trace.of(parent);
    if (goesOn) {
      assertThat(trace.header()).startsWith("00-" + ID + "-").endsWith("-01");
    } else {
      assertThat(trace.traceId()).isNotEqualToIgnoringCase(ID).matches("(?!0{32})[0-9a-f]{32}");
    }
    assertThat(trace.spanId()).isNotEqualTo("00f067aa0ba902b7").matches("[0-9a-f]{16}");
  }
}
