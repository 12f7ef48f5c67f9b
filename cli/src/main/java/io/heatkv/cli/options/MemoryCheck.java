package io.heatkv.cli.options;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.ObservedCache;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;

/** Refuses requests that don't fit into memory before anything is allocated. */
public final class MemoryCheck {
  private MemoryCheck() {}

  /**
   * Checks this machine's memory, where that is what a generation takes.
   *
   * @throws io.heatkv.error.UserException if it is too little
   */
  public static void host(ModelChoice choice, GenerationRequest request) {
    if (!choice.device().isCuda()) {
      all(choice, request).requireAtMost(AvailableMemory.bytes());
    }
  }

  /** What generations on all devices take of this machine's memory, where it computes there. */
  public static MemoryEstimate all(ModelChoice choice, GenerationRequest request) {
    return estimate(choice, request).times(choice.where().named().size());
  }

  /** What one generation takes of it. */
  static MemoryEstimate estimate(ModelChoice choice, GenerationRequest request) {
    return choice.description().estimate(shape(choice, request), request.policy());
  }

  private static KvShape shape(ModelChoice choice, GenerationRequest request) {
    return request.kvShape(choice.description(), choice.dtype());
  }

  /**
   * Checks the memory of devices that have their own.
   *
   * @throws io.heatkv.error.UserException if it is too little
   */
  public static void device(ModelChoice choice, LibTorch library, GenerationRequest request) {
    device(choice, library, request, 0);
  }

  /** As above, for a calibration. */
  public static void calibration(ModelChoice choice, LibTorch library, GenerationRequest request) {
    KvShape shape = choice.description().kvShape(choice.dtype(), request.grids());
    device(choice, library, request, ObservedCache.scratchBytes(shape));
  }

  private static void device(
      ModelChoice choice, LibTorch library, GenerationRequest request, long besides) {
    if (!choice.device().isCuda()) {
      return;
    }
    KvShape picture = choice.description().kvShape(choice.dtype(), request.grids());
    for (Device device : choice.devices(library)) {
      choice
          .description()
          .need(shape(choice, request), request.policy(), device)
          .plusScratch(besides)
          .requireAtMost(
              device,
              library.memory(device).free(),
              request.images(),
              picture.fullBytes() * request.images());
    }
  }
}
