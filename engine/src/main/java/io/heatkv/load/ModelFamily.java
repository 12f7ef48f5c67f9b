package io.heatkv.load;

import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.error.UserException;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What a family of models is before one runs. Families are found by {@link
 * java.util.ServiceLoader}: a public class with a public constructor without parameters, named in
 * the jar's {@code META-INF/services/io.heatkv.load.ModelFamily}.
 */
public interface ModelFamily {
  /** Small letters, digits and hyphens; no other family's. */
  String name();

  /** The networks of its models, that which draws first; files are recognised by them. */
  List<Network> networks();

  /**
   * The model that a folder describes so wholly that no file has to be looked for.
   *
   * @throws UserException if the description is unsound
   */
  default Optional<ModelDescription> described(Path folder) {
    return Optional.empty();
  }

  /**
   * Puts a model together.
   *
   * @param files where {@link #networks} were looked for; the description closes them
   * @throws UserException if a part is missing, damaged or ambiguous, or they don't fit each other
   */
  FoundModel find(ModelFiles files);

  /**
   * Grids that have a name in this family whatever the model; none where they are each model's own.
   *
   * @throws UserException if it has grids of this name, but not of this aspect ratio
   */
  default Optional<ScaleGrids> grids(String resolution, Optional<AspectRatio> aspect) {
    return Optional.empty();
  }

  /** Names of the sizes of which there are random models. */
  List<String> sizes();

  /** A random model of a size. */
  RandomModel random(String size);

  /**
   * Writes a model of random weights; a run that was cut off goes on where it stopped.
   *
   * @throws UserException if the folder can't be written, is too small or holds another model, or
   *     the family has no such part
   */
  void synthesize(Synthesis what, Path folder, ShardedWriter.Progress progress);
}
