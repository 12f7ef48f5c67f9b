package io.heatkv.eval.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.policy.CachePolicies;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Curves that can be told apart. */
class MarksTest {
  private static String css() throws IOException {
    try (InputStream in = Marks.class.getResourceAsStream("report.css")) {
      assertThat(in).isNotNull();
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** Also those that a researcher adds: a class without a colour draws no line at all. */
  @Test
  void everyPolicyHasAColour() throws IOException {
    String css = css();
    for (int policy = 0; policy < 30; policy++) {
      String style = Marks.style(policy).replace(" first", "");
      assertThat(css).contains("." + style + " { --c: var(--c" + style.substring(1) + "); }");
      // In light and in dark mode.
      assertThat(css.split("--c" + style.substring(1) + ": #", -1)).hasSize(3);
    }
  }

  @Test
  void noTwoPoliciesLookAlike() {
    Set<String> looks = new HashSet<>();
    Set<String> colours = new HashSet<>();
    for (int policy = 0; policy < 30; policy++) {
      assertThat(looks.add(Marks.key(policy))).as("policy %d", policy).isTrue();
      colours.add(Marks.style(policy));
    }
    // Every policy that takes a budget has a curve.
    long curves =
        CachePolicies.names().stream().filter(name -> CachePolicies.whole(name).isEmpty()).count();
    assertThat((long) colours.size()).isGreaterThanOrEqualTo(curves);
  }
}
