package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.TestDevice;
import io.heatkv.tensor.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Contexts that are made before libtorch asks for them. */
class CudaContextsTest {
  @Test
  void nothingIsMadeOfDevicesThatArentThere() {
    assertThatCode(() -> CudaContexts.open(List.of(Device.CPU, Device.cuda(999))))
        .doesNotThrowAnyException();
  }

  /** As the driver says, whatever else this process did before. */
  @Test
  void theDriverHasTheContextActive() throws Throwable {
    assumeTrue(TestDevice.device().isCuda(), "needs a CUDA device");
    CudaContexts.open(List.of(TestDevice.device()));
    SymbolLookup driver = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment flags = arena.allocate(JAVA_INT);
      MemorySegment active = arena.allocate(JAVA_INT);
      int code =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(
                      driver.findOrThrow("cuDevicePrimaryCtxGetState"),
                      FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS))
                  .invokeExact(TestDevice.device().index(), flags, active);
      assertThat(code).isZero();
      assertThat(active.get(JAVA_INT, 0)).isEqualTo(1);
    }
  }
}
