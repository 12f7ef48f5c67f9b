package io.heatkv.verify;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.LongStream;

/**
 * A device's steps of a block on one shape, against the formulas in float64 operators on the same
 * device. An error is the norm of the difference over the norm of what is right, of the worst (row,
 * head) or row.
 */
final class KernelRangeSteps {
  // More than a block of keys, and less than all kernels for few of them take.
  private static final int MOST_FEW = 200;
  private static final double EPS = 1e-6;
  // A prime: what two heads see differs, however long they are.
  private static final int POOL = 1_048_573;
  private static final int OUTPUTS = 64;

  private final Backend backend;
  private final Device device;
  private final DType dtype;
  private final KernelRangeCase shape;
  private final DeviceOps ops;
  private final RandomGenerator random;
  private final Map<String, Double> errors = new LinkedHashMap<>();

  KernelRangeSteps(Backend backend, Device device, DType dtype, KernelRangeCase shape) {
    this.backend = backend;
    this.device = device;
    this.dtype = dtype;
    this.shape = shape;
    ops = backend.ops(device);
    random = RandomGeneratorFactory.of("L64X128MixRandom").create(shape.seed());
  }

  /** The error of every step, by its name. */
  Map<String, Double> errors() {
    try (Scope _ = Scope.open()) {
      Tensor pool = pool();
      for (Runnable step :
          List.<Runnable>of(
              () -> attention(pool),
              () -> norms(pool),
              () -> heads(pool),
              () -> slots(pool),
              () -> product(pool))) {
        try (Scope _ = Scope.open()) {
          step.run();
        }
      }
    }
    return errors;
  }

  private Tensor pool() {
    float[] values = new float[POOL];
    for (int i = 0; i < POOL; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(backend, values, POOL).to(device);
  }

  /** Values of the pool from a random place on, round and round. */
  private Tensor values(Tensor pool, DType type, long... sizes) {
    long left = LongStream.of(sizes).reduce(1, Math::multiplyExact);
    try (Scope scope = Scope.open()) {
      List<Tensor> parts = new ArrayList<>();
      long start = random.nextInt(POOL);
      do {
        long count = Math.min(left, POOL - start);
        parts.add(pool.narrow(0, start, count));
        left -= count;
        start = 0;
      } while (left > 0);
      return scope.keep(Ops.cat(0, parts).to(type).copy().reshape(sizes));
    }
  }

  /**
   * Queries, keys and values [3, rows, heads, tokens, dim], every other time as they lie in a
   * projection.
   */
  private Tensor current(Tensor pool) {
    int rows = shape.rows();
    int heads = shape.heads();
    int tokens = shape.tokens();
    return random.nextBoolean()
        ? values(pool, dtype, rows, tokens, 3, heads, shape.dim()).permute(2, 0, 3, 1, 4)
        : values(pool, dtype, 3, rows, heads, tokens, shape.dim());
  }

  private void attention(Tensor pool) {
    int rows = shape.rows();
    int heads = shape.heads();
    int dim = shape.dim();
    double scale = 1 / Math.sqrt(dim);
    int total = shape.retained();
    Tensor current = current(pool);
    Tensor q = current.select(0, 0);
    Tensor k = current.select(0, 1);
    Tensor v = current.select(0, 2);
    Tensor keys = values(pool, dtype, rows, heads, shape.earlier(), dim);
    Tensor values = values(pool, dtype, rows, heads, shape.earlier(), dim);
    Tensor retained = values(pool, dtype, 2, rows, total, dim);
    // Entries in reverse order at the end of a larger arena, of which a row has left.
    Tensor arena = values(pool, dtype, 2, rows + 1, total + 5, dim).narrow(1, 0, rows);
    Tensor slots = index(LongStream.range(0, total).map(i -> total + 4 - i).toArray());
    Ops.indexCopy(arena, 2, slots, retained);

    ExactAttention exact = new ExactAttention(q, scale);
    exact.see(k, v, keys, values, retained, shape.lengths());
    compare("attention", ops.attention(q, k, v, scale), exact.own(), 2);
    Ops.AttentionParts parts = ops.attentionWithLse(q, k, v, scale);
    compare("attention with log-sum-exp", parts.output(), exact.own(), 2);
    // An error of a logarithm counts as such, however small the logarithm is.
    compare("log-sum-exp", Ops.exp(wide(parts.lse())), Ops.exp(exact.logSumExp()), 2);
    compare(
        "attention over both",
        ops.attentionOverBoth(q, k, v, keys, values, scale),
        exact.both(),
        2);
    Tensor sums = ops.attentionOverBothWithLse(q, k, v, keys, values, scale).lse();
    compare("log-sum-exp over both", Ops.exp(wide(sums)), Ops.exp(exact.logSumExpOfBoth()), 2);
    fewKeys(q, keys, values, scale);
    columnSums(q.mul(scale), k, v, keys, values);
    try (Scope owner = Scope.detached()) {
      int[] lengths = shape.lengths().stream().mapToInt(Integer::intValue).toArray();
      HeadRanges ranges =
          HeadRanges.of(
                  backend,
                  device,
                  rows,
                  List.of(new HeadRanges.Layer(lengths, shape.tokens())),
                  owner)
              .getFirst();
      compare(
          "attention over retained",
          ops.attentionOverRetained(q, k, v, retained, ranges, scale),
          exact.ragged(),
          2);
      compare(
          "attention over slots",
          ops.attentionOverSlots(q, k, v, arena, slots, ranges, scale),
          exact.ragged(),
          2);
    }
  }

  /** As queries attend to a text. */
  private void fewKeys(Tensor q, Tensor keys, Tensor values, double scale) {
    long count = 1 + shape.earlier() % Math.min(MOST_FEW, shape.earlier());
    Tensor k = keys.narrow(2, 0, count);
    Tensor v = values.narrow(2, 0, count);
    Tensor scores = Ops.matmul(wide(q).mul(scale), wide(k).transpose(2, 3));
    Tensor exact = Ops.matmul(Ops.softmax(scores), wide(v));
    compare("attention to few keys", ops.attention(q, k, v, scale), exact, 2);
  }

  /** Of all queries, and of the last few, as policies observe them. */
  private void columnSums(Tensor q, Tensor k, Tensor v, Tensor keys, Tensor values) {
    Tensor exact = ExactAttention.columnSums(q, k, keys);
    compare("column sums", ops.columnSums(q, k, keys, null), exact, 2);
    Tensor lse = ops.attentionOverBothWithLse(q, k, v, keys, values, 1).lse();
    compare("column sums by log-sum-exp", ops.columnSums(q, k, keys, lse), exact, 2);
    int count = Math.min(16, shape.tokens());
    Tensor last = q.narrow(2, shape.tokens() - count, count);
    Tensor few = ops.columnSums(last, k, keys, null);
    compare("column sums of few", few, ExactAttention.columnSums(last, k, keys), 2);
  }

  private void norms(Tensor pool) {
    int rows = shape.rows();
    int width = shape.width();
    Tensor x = values(pool, DType.F32, rows, shape.tokens(), width);
    Tensor y = values(pool, dtype, rows, shape.tokens(), width);
    Tensor gate = values(pool, DType.F32, rows, 1, width);
    Tensor gain = values(pool, DType.F32, rows, width);
    Tensor shift = values(pool, DType.F32, rows, width);
    Tensor sum = wide(x).add(wide(y).mul(wide(gate)));
    Tensor normed = ops.addNorm(x, y, gate, gain, shift, EPS);
    compare("sum", x, sum, 1);
    compare("norm", normed, norm(sum, gain, shift), 1);
    sum = wide(x).add(wide(y));
    ops.addGated(x, y, null);
    compare("plain sum", x, sum, 1);
    Tensor shared = ops.norm(x, gain.select(0, 0), shift.select(0, 0), EPS, dtype);
    compare("shared norm", shared, norm(wide(x), gain.narrow(0, 0, 1), shift.narrow(0, 0, 1)), 1);
  }

  private static Tensor norm(Tensor x, Tensor gain, Tensor shift) {
    Tensor centred = x.sub(Ops.mean(x, true, 2));
    Tensor deviation = Ops.sqrt(Ops.mean(centred.mul(centred), true, 2).add(EPS));
    return centred.div(deviation).mul(wide(gain).unsqueeze(1)).add(wide(shift).unsqueeze(1));
  }

  private void heads(Tensor pool) {
    int rows = shape.rows();
    int tokens = shape.tokens();
    int heads = shape.heads();
    int half = shape.dim() / 2;
    Tensor projected = values(pool, dtype, rows, tokens, 3, heads, shape.dim());
    Tensor signed = values(pool, DType.F32, 2, heads);
    // Products must stay in half precision's normal range.
    Tensor factors = signed.mul(signed).add(0.5);
    Tensor table = values(pool, DType.F32, tokens, half, 2);
    // Keys and values come among those of a cache, every other time.
    Tensor cache = values(pool, dtype, 2, rows + 1, heads, tokens + 7, shape.dim());
    Tensor place = cache.narrow(1, 0, rows).narrow(3, 4, tokens);
    boolean isPlaced = random.nextBoolean();
    Tensor around = wide(cache);
    DeviceOps.Heads split =
        ops.splitHeads(
            projected.copy(),
            factors,
            Ops.asComplex(table),
            true,
            isPlaced ? new DeviceOps.Place(place.select(0, 0), place.select(0, 1)) : null);
    Tensor cosine = wide(table.select(2, 0)).reshape(1, tokens, 1, half);
    Tensor sine = wide(table.select(2, 1)).reshape(1, tokens, 1, half);
    for (int part = 0; part < 2; part++) {
      Tensor x = wide(projected.select(2, part));
      Tensor norm = Ops.sqrt(Ops.sum(x.mul(x), true, 3));
      x = x.mul(wide(factors.select(0, part)).reshape(1, 1, heads, 1)).div(norm);
      Tensor pairs = x.reshape(rows, tokens, heads, half, 2);
      Tensor a = pairs.select(4, 0);
      Tensor b = pairs.select(4, 1);
      Tensor turned =
          Ops.stack(4, a.mul(cosine).sub(b.mul(sine)), a.mul(sine).add(b.mul(cosine)))
              .reshape(rows, tokens, heads, shape.dim())
              .transpose(1, 2);
      compare(part == 0 ? "queries" : "keys", part == 0 ? split.q() : split.k(), turned, 2);
    }
    Tensor plain = wide(projected.select(2, 2));
    compare("values", split.v(), plain.transpose(1, 2), 2);
    if (isPlaced) {
      around.narrow(1, 0, rows).narrow(3, 4, tokens).copyFrom(Ops.stack(0, split.k(), split.v()));
    }
    compare("cache", cache, around, 1);
    Tensor joined = ops.joinHeads(split.v().contiguous());
    compare("joined heads", joined, plain.reshape(rows, tokens, shape.width()), 1);
  }

  private void slots(Tensor pool) {
    int rows = shape.rows();
    int tokens = shape.tokens();
    int dim = shape.dim();
    long[] written =
        LongStream.range(0, shape.heads())
            .filter(h -> h % 3 == 0 || random.nextBoolean())
            .toArray();
    int count = written.length * tokens;
    Tensor current = current(pool);
    Tensor k = current.select(0, 1);
    Tensor v = current.select(0, 2);
    Tensor whole = values(pool, dtype, 2, rows + 1, count + 7, dim);
    // As after a row has left: keys and values lie apart.
    Tensor arena = whole.narrow(1, 0, rows);
    Tensor before = wide(arena.narrow(2, 0, 7));
    Tensor left = wide(whole.narrow(1, rows, 1));
    Tensor slots = index(LongStream.range(0, count).map(i -> count + 6 - i).toArray());
    Tensor heads = index(written);
    ops.scatterSlots(arena, slots, heads, k, v);
    Tensor kept = Ops.indexSelect(Ops.stack(0, k, v), 2, heads).reshape(2, rows, count, dim);
    compare("read slots", ops.gatherSlots(arena, slots), wide(kept), 2);
    compare("other slots", arena.narrow(2, 0, 7), before, 2);
    compare("other rows", whole.narrow(1, rows, 1), left, 2);
    Tensor stored = values(pool, dtype, 2, rows, shape.heads(), tokens + 3, dim);
    ops.append(stored.select(0, 0), stored.select(0, 1), 2, k, v);
    compare("appended", stored.narrow(3, 2, tokens), wide(Ops.stack(0, k, v)), 3);
  }

  private void product(Tensor pool) {
    int width = shape.width();
    Tensor x = values(pool, dtype, shape.rows(), shape.tokens(), width);
    Tensor weight = values(pool, dtype, OUTPUTS, width);
    Tensor bias = values(pool, dtype, OUTPUTS);
    Tensor sum = Ops.matmul(wide(x), wide(weight).transpose(0, 1)).add(wide(bias));
    compare("product", ops.linear(x, weight, bias), sum, 1);
    compare("product with GELU", ops.linearGelu(x, weight, bias), Ops.gelu(sum), 1);
  }

  private Tensor index(long[] numbers) {
    return Tensor.of(backend, numbers, numbers.length).to(device);
  }

  static Tensor wide(Tensor x) {
    return x.to(DType.F64);
  }

  /**
   * @param groups leading dimensions, of whose every index the error is taken
   */
  private void compare(String step, Tensor actual, Tensor exact, int groups) {
    try (Scope _ = Scope.open()) {
      long count = 1;
      for (int i = 0; i < groups; i++) {
        count *= exact.size(i);
      }
      Tensor right = exact.contiguous().reshape(count, -1);
      Tensor difference = wide(actual.contiguous()).reshape(count, -1).sub(right);
      double[] squares = Ops.sum(difference.mul(difference), false, 1).toDoubles();
      double[] norms = Ops.sum(right.mul(right), false, 1).toDoubles();
      double worst = 0;
      for (int i = 0; i < squares.length; i++) {
        // NaN stays.
        worst = Math.max(worst, Math.sqrt(squares[i] / norms[i]));
      }
      errors.put(step, worst);
    }
  }
}
