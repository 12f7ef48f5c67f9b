package io.heatkv.load;

import io.heatkv.cache.KvShape;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.tensor.DType;
import java.nio.file.Path;
import java.util.Optional;

/** Finds the calibration that belongs to a model and the scales that are to be drawn. */
public final class ModelProfile {
  private ModelProfile() {}

  /**
   * Reads a profile and checks that it is of the model and of some scales.
   *
   * @param grids grids of the scales that are to be drawn
   * @param file of the profile; if there is none, the model's own is taken
   * @throws UserException if there is none, it is unfinished, or of another model or other scales
   */
  public static CalibrationProfile find(
      ModelDescription model, ScaleGrids grids, Optional<Path> file) {
    CalibrationProfile profile = find(model, file);
    requireScales(name(model, file), profile.setup(), grids);
    return profile;
  }

  /**
   * Reads a profile and checks that it is of a model's sizes and of some scales, whatever the
   * weights.
   *
   * @param model name for people
   * @param shape of the model and the scales that are to be drawn
   * @throws UserException if it can't be read, is unfinished, or of other sizes or scales
   */
  public static CalibrationProfile read(Path file, String model, KvShape shape) {
    CalibrationProfile profile = read(file);
    requireHeads(file, profile.setup(), model, shape.layers(), shape.heads());
    requireScales("profile " + file, profile.setup(), shape.grids());
    return profile;
  }

  /**
   * Reads a profile and checks that it is of the model.
   *
   * @param file of the profile; if there is none, the model's own is taken
   * @throws UserException if there is none, it is unfinished, or of another model
   */
  public static CalibrationProfile find(ModelDescription model, Optional<Path> file) {
    Path found =
        file.or(model::profile)
            .orElseThrow(() ->
                new UserException(
                    "model "
                        + model.name()
                        + " comes without a calibration profile; calibrate it and name the profile",
                    Remedy.CALIBRATION));
    CalibrationProfile profile = read(found);
    CalibrationSetup setup = profile.setup();
    String fingerprint = model.fingerprint();
    if (!setup.fingerprint().equals(fingerprint)) {
      throw new UserException(
          "%s: is a profile of model %s (fingerprint %s), but the model is %s (fingerprint %s); %s"
              .formatted(
                  found,
                  setup.model(),
                  shortened(setup.fingerprint()),
                  model.name(),
                  shortened(fingerprint),
                  "name a profile of this model"));
    }
    KvShape shape = model.kvShape(DType.F32, model.grids());
    requireHeads(found, setup, model.name(), shape.layers(), shape.heads());
    return profile;
  }

  private static void requireHeads(
      Path file, CalibrationSetup setup, String model, int layers, int heads) {
    if (setup.layers() != layers || setup.heads() != heads) {
      throw new UserException(
          "%s: is a profile of %d layers of %d heads, but model %s has %d of %d; %s"
              .formatted(
                  file,
                  setup.layers(),
                  setup.heads(),
                  model,
                  layers,
                  heads,
                  "name a profile of this model"));
    }
  }

  private static void requireScales(String name, CalibrationSetup setup, ScaleGrids grids) {
    String scales = setup.grids().toString();
    if (!scales.equals(grids.toString())) {
      throw new UserException(
          "%s is of scales %s, but scales %s are asked for; calibrate with these scales"
              .formatted(name, scales, grids));
    }
  }

  /**
   * Reads a finished profile, whatever its model.
   *
   * @throws UserException if it can't be read or is unfinished
   */
  public static CalibrationProfile read(Path file) {
    CalibrationProfile profile = CalibrationProfile.read(file);
    if (!profile.isComplete()) {
      throw new UserException(
          "%s: has done %d of %d prompts; finish that calibration first"
              .formatted(file, profile.promptsDone(), profile.prompts()));
    }
    return profile;
  }

  private static String name(ModelDescription model, Optional<Path> file) {
    return file.map(path -> "profile " + path)
        .orElseGet(() -> "the profile that comes with model " + model.name());
  }

  private static String shortened(String fingerprint) {
    return fingerprint.length() > 12 ? fingerprint.substring(0, 12) + "…" : fingerprint;
  }
}
