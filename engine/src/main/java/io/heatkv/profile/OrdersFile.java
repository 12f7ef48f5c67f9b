package io.heatkv.profile;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.schedule.HeadOrders;
import java.nio.file.Path;
import java.util.List;

/** Files that hold head orders. */
public final class OrdersFile {
  private OrdersFile() {}

  /**
   * Reads the orders of a file as the authors publish it: a JSON list of one list of {@code [head,
   * layer]} pairs for each source scale; or an object that has such a list as {@code orders}; or a
   * calibration profile of at least these source scales.
   *
   * @param firstSource source scale of the first order, the number of sink scales
   * @param lastSource source scale of the last order
   * @throws UserException if the file can't be read or an order is not complete
   */
  public static HeadOrders read(Path file, int layers, int heads, int firstSource, int lastSource) {
    Object document = JsonObject.readDocument(file);
    if (document instanceof JsonObject object && ProfileReader.isProfile(object)) {
      HeadOrders orders = CalibrationProfile.read(file).orders();
      if (orders.layers() != layers
          || orders.heads() != heads
          || orders.firstSource() > firstSource
          || orders.lastSource() < lastSource) {
        throw new UserException(
            "%s: is of %s layers, %s heads, source scales %s to %s; expected %s, %s, %s to %s"
                .formatted(
                    file,
                    orders.layers(),
                    orders.heads(),
                    orders.firstSource(),
                    orders.lastSource(),
                    layers,
                    heads,
                    firstSource,
                    lastSource));
      }
      return orders;
    }
    List<?> orders =
        switch (document) {
          case List<?> list -> list;
          case JsonObject object -> object.list("orders");
          default -> throw new UserException(file + ": is no list of head orders");
        };
    return HeadOrders.parse(file.toString(), orders, layers, heads, firstSource, lastSource);
  }
}
