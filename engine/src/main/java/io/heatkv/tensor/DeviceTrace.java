package io.heatkv.tensor;

/** Listens to what a device executes, to tell its work from the gaps between. */
public interface DeviceTrace extends AutoCloseable {
  /**
   * What was executed since the last call, or since the trace began. Waits for the device.
   *
   * @throws TensorException if the device's profiler fails
   */
  Activity next();

  /**
   * Work of a device.
   *
   * @param steps kernels, copies and fills executed
   * @param busyNanos time in which any of them ran
   */
  record Activity(long steps, long busyNanos) {}

  @Override
  void close();
}
