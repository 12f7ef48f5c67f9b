package io.heatkv.cli;

/** The {@code heatkv} command. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    System.exit(2);
  }
}
