package io.heatkv.cli;

/**
 * Where the process begins. It is compiled for Java 8, so that an older Java than ours says what is
 * wrong in one line, instead of that it can't read our classes.
 */
public final class Start {
  private static final int LEAST = 25;
  private static final int USER_ERROR = 2;

  private Start() {}

  /**
   * Runs a command line and ends the process.
   *
   * @throws Exception never, but for a broken jar
   */
  public static void main(String[] arguments) throws Exception {
    // Before 9 it was 1.8.
    if (Double.parseDouble(System.getProperty("java.specification.version")) < LEAST) {
      System.err.println(
          "heatkv: Java "
              + System.getProperty("java.version")
              + " is too old; install a JDK 25.0.3 or newer, and set JAVA_HOME to it or start its java");
      System.exit(USER_ERROR);
    }
    Class.forName("io.heatkv.cli.Main")
        .getMethod("main", String[].class)
        .invoke(null, (Object) arguments);
  }
}
