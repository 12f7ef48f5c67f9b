package io.heatkv.spark;

import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model as executors find it, and where it computes.
 *
 * @param name {@code emoji}, a folder or file on every executor, or the name of one of {@code
 *     spark.files} or {@code spark.archives}
 * @param device {@code auto}, {@code cpu} or {@code cuda}: with {@code auto} the GPU that Spark
 *     gave the task, if it gave one; with {@code cuda} that, or else the first
 * @param dtype compute type of the transformer's blocks such as {@code bf16}; null for the usual
 *     one
 * @param libtorch folder of libtorch's libraries, named as the model; null for {@code
 *     HEATKV_LIBTORCH} of the executor, or the build for CPUs that comes along
 */
public record SparkModel(
    String name, String device, @Nullable String dtype, @Nullable String libtorch)
    implements Serializable {
  private static final List<String> DEVICES = List.of("auto", "cpu", "cuda");

  /**
   * @throws UserException if the device or the type is none
   */
  public SparkModel {
    if (!DEVICES.contains(device)) {
      throw new UserException(
          "device '%s' is unknown; expected %s".formatted(device, String.join(", ", DEVICES)));
    }
    if (dtype != null) {
      DType _ = DType.parseCompute(dtype);
    }
  }

  /** A model on the GPU that Spark gives each task, else on the CPU. */
  public static SparkModel of(String name) {
    return new SparkModel(name, "auto", null, null);
  }

  /** The same on another kind of device. */
  public SparkModel on(String other) {
    return new SparkModel(name, other, dtype, libtorch);
  }

  /** The same in another compute type. */
  public SparkModel in(String other) {
    return new SparkModel(name, device, other, libtorch);
  }

  /** The same with the libtorch of a folder. */
  public SparkModel withLibtorch(String folder) {
    return new SparkModel(name, device, dtype, folder);
  }

  /**
   * The device for a task.
   *
   * @param gpus addresses that Spark gave it, such as {@code 0}
   * @throws UserException if an address is no number, as those of parts of a GPU aren't
   */
  Device device(List<String> gpus) {
    if (device.equals("cpu") || (device.equals("auto") && gpus.isEmpty())) {
      return Device.CPU;
    }
    if (gpus.isEmpty()) {
      return Device.cuda(0);
    }
    if (!gpus.getFirst().matches("\\d{1,3}")) {
      throw new UserException(
          "GPU address '%s' is no number; let the discovery script print the numbers of whole GPUs"
              .formatted(gpus.getFirst()));
    }
    return Device.cuda(Integer.parseInt(gpus.getFirst()));
  }

  /** Where something that was named lies: among the files that Spark brought, or as it is named. */
  static String placed(String name, Path files) {
    Path own = Path.of(name);
    Path brought = files.resolve(name);
    return !own.isAbsolute() && Files.exists(brought) ? brought.toString() : name;
  }
}
