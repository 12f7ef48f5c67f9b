package io.heatkv.cli.console;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;

/** How the command takes what mends an input: the engine's messages name no options. */
public final class Advice {
  private Advice() {}

  /** The message, and by which options it is followed. */
  public static String in(UserException problem) {
    return problem.getMessage() + problem.remedy().map(remedy -> " " + of(remedy)).orElse("");
  }

  public static String of(Remedy remedy) {
    return switch (remedy) {
      case CALIBRATION -> "(heatkv calibrate makes a profile, --profile names it)";
      case CHOICE_OF_FILES -> "(or pick with heatkv import FILE… -o FOLDER)";
      case HALF_PRECISION -> "(--resolution, --dtype bf16)";
      case MAPPED_WEIGHTS -> "(--resolution, --dtype bf16, heatkv import)";
      case CONTINUATION -> "(--resume, --overwrite)";
      case REPLACEMENT -> "(--overwrite)";
    };
  }
}
