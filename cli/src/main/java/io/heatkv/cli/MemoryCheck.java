package io.heatkv.cli;

import io.heatkv.GenerationRequest;
import io.heatkv.MemoryEstimate;
import io.heatkv.cache.KvShape;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;

/** Refuses requests that don't fit into memory before anything is allocated. */
final class MemoryCheck {
  private MemoryCheck() {}

  /**
   * Checks this machine's memory, where that is what a generation takes.
   *
   * @throws io.heatkv.error.UserException if it is too little
   */
  static void host(ModelChoice choice, GenerationRequest request) {
    if (!choice.device().isCuda()) {
      MemoryEstimate.of(choice.description(), choice.dtype(), request)
          .requireAtMost(AvailableMemory.bytes());
    }
  }

  /**
   * Checks the memory of a device that has its own.
   *
   * @throws io.heatkv.error.UserException if it is too little
   */
  static void device(ModelChoice choice, LibTorch library, GenerationRequest request) {
    Device device = choice.device();
    if (device.isCuda()) {
      KvShape picture = choice.description().kvShape(choice.dtype(), request.schedule());
      MemoryEstimate.onDevice(choice.description(), device, choice.dtype(), request)
          .requireAtMost(
              device,
              library.memory(device).free(),
              request.images(),
              picture.fullBytes() * request.images());
    }
  }
}
