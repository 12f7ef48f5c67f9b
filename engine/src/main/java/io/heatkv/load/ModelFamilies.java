package io.heatkv.load;

import io.heatkv.error.UserException;
import io.heatkv.resource.Services;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The families that are there: our own and those of other jars. */
public final class ModelFamilies {
  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9-]*");

  private ModelFamilies() {}

  /**
   * All, by name.
   *
   * @throws UserException if one can't be loaded, or two have one name or one name of a size
   */
  public static List<ModelFamily> all() {
    List<ModelFamily> all =
        Services.all(ModelFamily.class, "model family").stream()
            .sorted(Comparator.comparing(ModelFamily::name))
            .toList();
    Map<String, ModelFamily> names = new HashMap<>();
    Map<String, ModelFamily> sizes = new HashMap<>();
    for (ModelFamily family : all) {
      requireOwn("a model family", family.name(), family, names);
      family.sizes().forEach(size -> requireOwn("models of size", size, family, sizes));
    }
    return all;
  }

  private static void requireOwn(
      String what, String name, ModelFamily family, Map<String, ModelFamily> owners) {
    ModelFamily other = owners.put(name, family);
    if (other != null || !NAME.matcher(name).matches()) {
      throw new UserException(
          "%s provides %s '%s'%s; it needs a name of its own of small letters, digits and hyphens"
              .formatted(
                  family.getClass().getName(),
                  what,
                  name.replaceAll("\\p{Cntrl}", "?"),
                  other == null ? "" : " as " + other.getClass().getName() + " does"));
    }
  }

  /**
   * The grids that a family has under a name.
   *
   * @throws UserException if none has
   */
  public static ScaleGrids grids(String resolution, Optional<AspectRatio> aspect) {
    return all().stream()
        .flatMap(family -> family.grids(resolution, aspect).stream())
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "resolution '%s' is unknown to all model families; expected one such as 1M, or a"
                        .formatted(resolution)
                    + " list of grids such as 1x1,2x2,4x4"));
  }

  /** All networks of all families. */
  public static List<Network> networks() {
    return all().stream().flatMap(family -> family.networks().stream()).distinct().toList();
  }

  /**
   * The family that has models of a size.
   *
   * @throws UserException if there is none
   */
  public static ModelFamily ofSize(String size) {
    return all().stream()
        .filter(family -> family.sizes().contains(size))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "model size '%s' is unknown; expected %s"
                    .formatted(size, String.join(", ", sizes()))));
  }

  /** Names of the published sizes of all families. */
  public static List<String> sizes() {
    return all().stream().flatMap(family -> family.sizes().stream()).toList();
  }

  /**
   * The family whose model lies among files: that whose drawing network is there.
   *
   * @throws UserException if there are networks of several
   */
  static ModelFamily of(ModelFiles files) {
    List<ModelFamily> all = all();
    List<ModelFamily> drawing =
        all.stream().filter(family -> !files.of(family.networks().getFirst()).isEmpty()).toList();
    List<ModelFamily> named =
        drawing.stream()
            .filter(
                family -> files.of(family.networks().getFirst()).stream().anyMatch(files::isNamed))
            .toList();
    List<ModelFamily> meant = named.isEmpty() ? drawing : named;
    if (meant.size() > 1) {
      throw new UserException(
          "%s: holds models of several families (%s); name one model's folder or file"
              .formatted(
                  files,
                  meant.stream()
                      .map(family ->
                          family.networks().getFirst()
                              + " "
                              + files.shortened(files.of(family.networks().getFirst()).getFirst()))
                      .collect(Collectors.joining(", "))));
    }
    // Where nothing draws, the family with most of the rest says what it lacks.
    return meant.isEmpty()
        ? all.stream()
            .max(
                Comparator.<ModelFamily>comparingLong(family ->
                        family.networks().stream()
                            .filter(network -> !files.of(network).isEmpty())
                            .count())
                    .thenComparing(ModelFamily::name, Comparator.reverseOrder()))
            .orElseThrow(() -> new UserException("no model family is on the class path"))
        : meant.getFirst();
  }
}
