package io.heatkv.tensor;

import io.heatkv.tensor.DeviceOps.Arranged;

/** {@link DeviceOps#arrange} by operators. Sums of integers have no function in the stable ABI. */
final class SlotOrder {
  private final Tensor kept;
  private final long pictureRows;
  private final long held;
  private final long count;
  private final Tensor numbers;

  SlotOrder(Tensor kept, int pictureRows, long held, long count, Tensor numbers) {
    this.kept = kept;
    this.pictureRows = pictureRows;
    this.held = held;
    this.count = count;
    this.numbers = numbers;
  }

  Arranged arrange() {
    boolean ordered = pictureRows == 1 || held == 0;
    try (Scope scope = Scope.open()) {
      Tensor places = ordered ? null : scope.keep(places());
      Tensor slots = places == null ? kept : Sorting.scatter(kept, places);
      long heads = kept.size(0) * kept.size(1);
      Tensor entries =
          slots
              .to(DType.F64)
              .addScaled(
                  numbers.narrow(0, 0, heads).reshape(kept.size(0), kept.size(1), 1),
                  (double) count)
              .to(DType.I64)
              .reshape(-1);
      return new Arranged(places, scope.keep(entries));
    }
  }

  private Tensor places() {
    long quota = kept.size(2);
    long heads = kept.size(1);
    long pictures = kept.size(0) / pictureRows;
    Tensor each = kept.reshape(pictures, pictureRows, heads, quota);
    Tensor quotas = numbers.narrow(0, quota, 1);
    Tensor place =
        Sorting.gather(
                places(each.select(1, 0)).unsqueeze(1).expand(pictures, pictureRows, heads, count),
                each)
            .reshape(kept.shape());
    Tensor stays = Ops.less(place, quotas);
    Tensor target = Ops.minimum(place, quotas).to(DType.I64);
    Tensor filled =
        Sorting.scatter(
            filled(0, DType.U8, kept, quota + 1), target, filled(1, DType.U8, kept, quota));
    Tensor gaps = Sorting.sort(filled.narrow(2, 0, quota)).indices();
    Tensor others = Ops.lessOrEqual(quotas, place).to(DType.F64);
    Tensor gap = Sorting.cumulativeSum(others).sub(others).to(DType.I64);
    return Ops.where(stays, target, Sorting.gather(gaps, gap));
  }

  /**
   * Where each entry goes by what a picture's first row keeps: first those that it keeps, then the
   * others; beyond all places where it is a new one.
   *
   * @param first what first rows keep [pictures, heads, quota]
   * @return float64 [pictures, heads, count]
   */
  private Tensor places(Tensor first) {
    Tensor stays =
        Sorting.scatter(
                filled(0, DType.F64, first, count),
                first,
                filled(1, DType.F64, first, first.size(2)))
            .narrow(2, 0, held);
    Tensor sums = Sorting.cumulativeSum(stays);
    Tensor others = sums.narrow(2, held - 1, 1).sub(sums).add(numbers.narrow(0, 0, held));
    Tensor zero = numbers.narrow(0, 0, 1);
    Tensor old = Ops.where(Ops.less(zero, stays), sums.add(-1), others);
    Tensor beyond =
        numbers.narrow(0, first.size(2), 1).expand(first.size(0), first.size(1), count - held);
    return Ops.cat(2, old, beyond);
  }

  private static Tensor filled(double value, DType dtype, Tensor like, long count) {
    return Tensor.full(
        like.backend(), value, dtype, like.device(), like.size(0), like.size(1), count);
  }
}
