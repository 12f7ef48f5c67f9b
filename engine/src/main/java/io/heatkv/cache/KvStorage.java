package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.schedule.Budget;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.Collectors;

/** In how many bits a cache that keeps or drops whole tokens stores their numbers. */
public enum KvStorage {
  /** 16 bits: the compute type where it has 16, else IEEE half precision, saturating. */
  HALF("16"),
  /** 8 bits, symmetric; a 16-bit step for each key and each value. */
  INT8("int8"),
  /** The compute type, bit by bit. */
  NATIVE("native");

  private static final int STEP_BYTES = 2;
  private static final float MAX_HALF = 65504;

  private final String text;

  KvStorage(String text) {
    this.text = text;
  }

  /**
   * Reads what users write: 16, int8 or native.
   *
   * @throws UserException if it is none of them
   */
  public static KvStorage parse(String text) {
    for (KvStorage storage : values()) {
      if (storage.text.equals(text)) {
        return storage;
      }
    }
    throw new UserException(
        "KV store '%s' is unknown; expected %s"
            .formatted(
                text,
                Arrays.stream(values())
                    .map(KvStorage::toString)
                    .collect(Collectors.joining(", "))));
  }

  /** Bytes of the full cache to which a budget refers: 2 a number, unless it is native. */
  public long fullBytes(KvShape shape) {
    return this == NATIVE ? shape.fullBytes() : shape.budgetBytes();
  }

  /** A budget as a ratio of that. */
  public double ratio(KvShape shape, Budget budget) {
    return this == NATIVE ? budget.ratio(shape.fullBytes()) : shape.ratio(budget);
  }

  /** Bytes of the key and value of one token in one head of one layer, all rows. */
  public long bytesPerHeadToken(KvShape shape) {
    return 2L * shape.batch() * width(shape.headDim()) * dtype(shape.dtype()).bytes();
  }

  /** What the storage of such tokens holds beside their keys and values; no tables. */
  KvParts parts(KvShape shape, long tokens) {
    return this == INT8
        ? new KvParts(2L * STEP_BYTES * shape.batch() * tokens, 0, 0)
        : KvParts.NONE;
  }

  /** Type of the elements of which an entry consists. */
  DType dtype(DType compute) {
    return switch (this) {
      case HALF -> compute.bytes() == DType.F16.bytes() ? compute : DType.F16;
      case INT8 -> DType.U8;
      case NATIVE -> compute;
    };
  }

  /** Elements of a key or value. */
  int width(int headDim) {
    return this == INT8 ? headDim + STEP_BYTES : headDim;
  }

  /** What is stored of x [..., head_dim], of the compute type; [..., width]. */
  Tensor encode(Tensor x, DeviceOps ops) {
    if (this == INT8) {
      return ops.quantise(x);
    }
    DType type = dtype(x.dtype());
    if (type == x.dtype()) {
      return x;
    }
    try (Scope scope = Scope.open()) {
      return scope.keep(Ops.clamp(x, limit(-MAX_HALF, x), limit(MAX_HALF, x)).to(type));
    }
  }

  private static Tensor limit(float value, Tensor like) {
    Device device = like.device();
    return Tensor.full(like.backend(), value, like.dtype(), device, 1);
  }

  /** Reads what {@link #encode} gave. */
  Tensor decode(Tensor stored, DType compute, DeviceOps ops) {
    return this == INT8 ? ops.dequantise(stored, compute) : stored.to(compute);
  }

  /** As users write it. */
  @Override
  public String toString() {
    return text;
  }
}
