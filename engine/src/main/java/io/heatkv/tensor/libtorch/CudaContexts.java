package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.heatkv.tensor.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;

/**
 * Contexts of CUDA devices, made by the driver alone: that takes as long as the system's loader
 * needs for libtorch, so that both go on at once. The runtime that libtorch is linked to computes
 * in the same contexts.
 */
public final class CudaContexts {
  private static final String DRIVER = "libcuda.so.1";

  private CudaContexts() {}

  /**
   * Makes the contexts of those devices that are CUDA's, for the life of the process. Where the
   * driver or a device is missing nothing is made: who opens the device then, is told why.
   */
  public static void open(List<Device> devices) {
    List<Device> cuda = devices.stream().filter(Device::isCuda).toList();
    if (cuda.isEmpty()) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup driver = SymbolLookup.libraryLookup(DRIVER, Arena.global());
      MethodHandle initialise =
          function(driver, "cuInit", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
      if ((int) initialise.invokeExact(0) != 0) {
        return;
      }
      MethodHandle device =
          function(driver, "cuDeviceGet", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
      MethodHandle retain =
          function(
              driver,
              "cuDevicePrimaryCtxRetain",
              FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
      MemorySegment out = arena.allocate(ADDRESS);
      for (Device each : cuda) {
        if ((int) device.invokeExact(out, each.index()) == 0) {
          int _ = (int) retain.invokeExact(out, out.get(JAVA_INT, 0));
        }
      }
    } catch (IllegalArgumentException | java.util.NoSuchElementException _) {
      // No driver, or another one: the device can't be opened either.
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private static MethodHandle function(
      SymbolLookup driver, String name, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(driver.findOrThrow(name), descriptor);
  }
}
