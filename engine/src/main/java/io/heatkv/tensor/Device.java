package io.heatkv.tensor;

import io.heatkv.error.UserException;

/**
 * Where a tensor lives and its operators run.
 *
 * @param type CPU or CUDA
 * @param index device number, 0 for the CPU
 */
public record Device(Type type, int index) {
  /** Kinds of device. */
  public enum Type {
    CPU,
    CUDA
  }

  /** The processor. */
  public static final Device CPU = new Device(Type.CPU, 0);

  /** CUDA device {@code index}. */
  public static Device cuda(int index) {
    return new Device(Type.CUDA, index);
  }

  /** Whether this is a CUDA device. */
  public boolean isCuda() {
    return type == Type.CUDA;
  }

  /**
   * Parses {@code cpu}, {@code cuda} or {@code cuda:N}.
   *
   * @throws UserException for anything else
   */
  public static Device parse(String text) {
    if (text.equals("cpu")) {
      return CPU;
    }
    if (text.equals("cuda")) {
      return cuda(0);
    }
    if (text.matches("cuda:\\d{1,3}")) {
      return cuda(Integer.parseInt(text.substring(5)));
    }
    throw new UserException("device '" + text + "' is unknown; expected cpu, cuda or cuda:N");
  }

  @Override
  public String toString() {
    return type == Type.CPU ? "cpu" : "cuda:" + index;
  }
}
