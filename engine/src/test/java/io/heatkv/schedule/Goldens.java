package io.heatkv.schedule;

import io.heatkv.json.JsonObject;
import io.heatkv.profile.OrdersFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Golden files and the shapes that they belong to. */
final class Goldens {
  static final int[] SQUARE_1M = {1, 4, 16, 36, 64, 144, 256, 400, 576, 1024, 1600, 2304, 4096};
  static final ScheduleShape SHAPE_2B = new ScheduleShape(32, 16, SQUARE_1M, 3, 3, 11);
  static final ScheduleShape SHAPE_8B = new ScheduleShape(40, 28, SQUARE_1M, 3, 3, 11);

  private Goldens() {}

  static Path file(String name) {
    try {
      return Path.of(Objects.requireNonNull(Goldens.class.getResource("/golden/" + name)).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Files of a folder whose names match a pattern. */
  static List<Path> files(String folder, String pattern) {
    try (Stream<Path> files = Files.list(file(folder))) {
      return files.filter(path -> path.getFileName().toString().matches(pattern)).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static HeadOrders orders2b() {
    return OrdersFile.read(file("orders-infinity-2b.json"), 32, 16, 3, 11);
  }

  static HeadOrders orders8b() {
    return OrdersFile.read(file("orders-infinity-8b.json"), 40, 28, 3, 11);
  }

  static int[] ints(List<?> numbers) {
    return numbers.stream().mapToInt(value -> ((Number) value).intValue()).toArray();
  }

  static List<Atom> atoms(List<?> triples) {
    return triples.stream()
        .map(triple -> ints((List<?>) triple))
        .map(atom -> new Atom(atom[0], atom[1], atom[2]))
        .toList();
  }

  /** The numbers of an object with the keys "0", "1", … */
  static int[] byScale(JsonObject object) {
    int[] numbers = new int[object.values().size()];
    for (int t = 0; t < numbers.length; t++) {
      numbers[t] = (int) object.number(String.valueOf(t));
    }
    return numbers;
  }
}
