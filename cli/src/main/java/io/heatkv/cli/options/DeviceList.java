package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Devices of one kind that share the work, as {@code --device} names them.
 *
 * @param text that named them
 * @param named at least one; the first of them where all are meant
 * @param all whether every CUDA device is meant, which only libtorch can count
 */
public record DeviceList(String text, List<Device> named, boolean all) {
  // The CPU several times shows what several devices do, on any machine.
  private static final Pattern COPIES = Pattern.compile("cpu[x×]([1-9][0-9]?)");
  private static final int MOST_COPIES = 16;

  /**
   * Reads {@code cpu}, {@code cuda}, {@code cuda:N}, {@code cpuxN}, or several with commas.
   *
   * @throws UserException if one is unknown or named twice, or they are of several kinds
   */
  public static DeviceList parse(String text) {
    if (text.equals("cuda")) {
      return new DeviceList(text, List.of(Device.cuda(0)), true);
    }
    Matcher copies = COPIES.matcher(text);
    if (copies.matches() && Integer.parseInt(copies.group(1)) <= MOST_COPIES) {
      int count = Integer.parseInt(copies.group(1));
      return new DeviceList(text, Collections.nCopies(count, Device.CPU), false);
    }
    List<Device> named = new ArrayList<>();
    for (String name : text.split(",", -1)) {
      Device device = name.equals("cuda") ? unknown(text) : parseOne(name, text);
      if (named.contains(device)) {
        throw new UserException("device %s is named twice; leave out one".formatted(device));
      }
      named.add(device);
    }
    if (named.stream().map(Device::type).distinct().count() > 1) {
      throw new UserException(
          "devices %s are of several kinds, which draw different bits; name those of one"
              .formatted(text));
    }
    return new DeviceList(text, List.copyOf(named), false);
  }

  private static Device parseOne(String name, String text) {
    try {
      return Device.parse(name);
    } catch (UserException _) {
      return unknown(text);
    }
  }

  private static Device unknown(String text) {
    throw new UserException(
        "device '%s' is unknown; expected cpu, cuda, cuda:N, or several such as cuda:0,cuda:1"
            .formatted(text));
  }

  /** One device. */
  public static DeviceList of(Device device) {
    return new DeviceList(device.toString(), List.of(device), false);
  }

  /** One of them, to ask what is the same on all. */
  public Device first() {
    return named.getFirst();
  }

  /**
   * The only one.
   *
   * @throws UserException if several are named; of all, the first is taken
   */
  Device only() {
    if (named.size() > 1) {
      throw new UserException(
          "devices %s are several; this command computes on one".formatted(text));
    }
    return first();
  }

  /** All of them, as many as there are. */
  public List<Device> in(LibTorch library) {
    return all
        ? IntStream.range(0, library.cudaDevices().size()).mapToObj(Device::cuda).toList()
        : named;
  }
}
