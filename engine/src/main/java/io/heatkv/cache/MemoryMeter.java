package io.heatkv.cache;

import io.heatkv.tensor.Tensor;

/** Remembers the largest transient tensors of a cache. */
final class MemoryMeter {
  private long currentScale;
  private long workspace;

  /** Notes the current scale's keys and values, and copies made to attend to them. */
  void add(Tensor k, Tensor v, Tensor... copies) {
    currentScale = Math.max(currentScale, k.bytes() + v.bytes());
    long all = 0;
    for (Tensor copy : copies) {
      all += copy.bytes();
    }
    workspace = Math.max(workspace, all);
  }

  /** Notes the current scale's keys and values, and bytes that copies may take. */
  void add(Tensor k, Tensor v, long copied) {
    add(k, v);
    workspace = Math.max(workspace, copied);
  }

  KvMemory report(Tensor storage) {
    return new KvMemory(storage.bytes(), currentScale, workspace);
  }
}
