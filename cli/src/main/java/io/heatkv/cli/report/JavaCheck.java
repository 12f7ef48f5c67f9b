package io.heatkv.cli.report;

import io.heatkv.resource.HostCheck;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** Known faults of Java versions and settings. */
public final class JavaCheck {
  private JavaCheck() {}

  /** One line for each fault of this virtual machine. */
  public static List<String> problems(Runtime.Version version) {
    List<String> problems = new ArrayList<>();
    if (HostCheck.isUnsound(version)) {
      problems.add(
          "Java " + version + " can corrupt arrays with G1 (JDK-8377811); install 25.0.3 or newer");
    }
    if (ManagementFactory.getRuntimeMXBean()
        .getInputArguments()
        .contains("-XX:+UseCompactObjectHeaders")) {
      problems.add("compact object headers are unsound on Java 25 (JDK-8380060); leave them off");
    }
    return problems;
  }
}
