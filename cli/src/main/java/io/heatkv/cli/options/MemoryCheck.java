package io.heatkv.cli.options;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.ObservedCache;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.util.function.Predicate;

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
    boolean _ = device(choice, request, 0).test(library);
  }

  /**
   * As above once libtorch is there; what is needed is told from files before. It tells whether a
   * picture could be decoded beside all else; never where memory is the host's.
   */
  public static Predicate<LibTorch> device(ModelChoice choice, GenerationRequest request) {
    return device(choice, request, 0);
  }

  /** As above, for a calibration. */
  public static void calibration(ModelChoice choice, LibTorch library, GenerationRequest request) {
    KvShape shape = choice.description().kvShape(choice.dtype(), request.grids());
    boolean _ = device(choice, request, ObservedCache.scratchBytes(shape)).test(library);
  }

  private static Predicate<LibTorch> device(
      ModelChoice choice, GenerationRequest request, long besides) {
    if (!choice.device().isCuda()) {
      return _ -> false;
    }
    KvShape picture = choice.description().kvShape(choice.dtype(), request.grids());
    // Devices that share the work are of one kind.
    MemoryNeed need =
        choice
            .description()
            .need(shape(choice, request), request.policy(), choice.device())
            .plusScratch(besides);
    long decoding =
        choice.description().decodingBytes(request.grids().last(), choice.device(), choice.dtype());
    return library -> {
      boolean hasRoom = true;
      for (Device device : choice.devices(library)) {
        long free = library.memory(device).free();
        need.requireAtMost(device, free, request.images(), picture.fullBytes() * request.images());
        hasRoom &= need.total() + decoding <= MemoryNeed.usable(device, free);
      }
      return hasRoom;
    };
  }
}
