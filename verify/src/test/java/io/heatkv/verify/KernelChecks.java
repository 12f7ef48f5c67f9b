package io.heatkv.verify;

import io.heatkv.sample.BitNoise;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Compares a device's steps of a transformer block (DeviceOps) with float64 arithmetic in plain
 * Java, on random shapes and in every compute type. Errors are relative to the largest value.
 */
public final class KernelChecks {
  private static final double EPS = 1e-6;
  private static final int MANY_QUERIES_DIM = 64;
  private static final List<Integer> HEAD_DIMS = List.of(8, 32, 64, 128);

  private final Backend backend;
  private final Device device;
  private final DeviceOps ops;
  private final RandomGenerator random;
  private final DType dtype;
  private final List<Check> checks = new ArrayList<>();

  private KernelChecks(Backend backend, Device device, DType dtype, RandomGenerator random) {
    this.backend = backend;
    this.device = device;
    this.dtype = dtype;
    this.random = random;
    ops = backend.ops(device);
  }

  /**
   * Runs all comparisons.
   *
   * @param seed of shapes and values
   */
  public static List<Check> run(Backend backend, Device device, long seed) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    List<Check> all = new ArrayList<>();
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int dim : HEAD_DIMS) {
        KernelChecks group = new KernelChecks(backend, device, dtype, random);
        group.run(dim);
        all.addAll(group.checks);
      }
    }
    return all;
  }

  private void run(int dim) {
    int rows = random.nextInt(1, 4);
    int heads = random.nextInt(1, 6);
    int tokens = random.nextInt(1, 70);
    try (Scope _ = Scope.open()) {
      norms(rows, tokens, heads * dim);
      heads(rows, tokens, heads, dim);
      attention(rows, heads, tokens, random.nextInt(1, 90), dim);
      if (dim == MANY_QUERIES_DIM) {
        // Devices choose other kernels for many queries.
        attention(1, 2, random.nextInt(520, 600), random.nextInt(260, 300), dim);
        picture(2, 2 * dim, 150, 257);
      }
      slots(rows, heads, tokens, dim);
      product(rows, tokens, heads * dim);
      uniforms(rows, tokens, heads * dim + random.nextInt(4));
      picture(rows, heads * dim, random.nextInt(1, 40), random.nextInt(1, 40));
    }
  }

  /** Bit for bit: a seed draws the same picture on every device. */
  private void uniforms(int pictures, int tokens, int symbols) {
    long[] seeds = random.longs(pictures).toArray();
    int scale = random.nextInt(13);
    float[] host = new float[pictures * tokens * symbols];
    for (int i = 0; i < pictures; i++) {
      BitNoise.fill(host, i * tokens * symbols, seeds[i], scale, tokens, symbols);
    }
    String where = "uniforms %dx%dx%d".formatted(pictures, tokens, symbols);
    Comparison comparison = new Comparison(dtype + " " + where, 0);
    comparison.add(
        BitNoise.uniforms(backend, device, seeds, scale, tokens, symbols).toDoubles(),
        IntStream.range(0, host.length).mapToDouble(i -> host[i]).toArray(),
        where);
    comparison.report(checks::add);
  }

  private void norms(int rows, int tokens, int width) {
    String where = "norm %dx%dx%d".formatted(rows, tokens, width);
    Tensor x = values(DType.F32, rows, tokens, width);
    Tensor y = values(dtype, rows, tokens, width);
    Tensor gate = values(DType.F32, rows, 1, width);
    Tensor gain = values(DType.F32, rows, width);
    Tensor shift = values(DType.F32, rows, width);
    Tensor sharedGain = values(DType.F32, width);
    Tensor sharedShift = values(DType.F32, width);

    double[] sum = sum(x.toDoubles(), y, gate);
    Tensor normed = ops.addNorm(x, y, gate, gain, shift, EPS);
    compare(where + ", sum", x, sum, DType.F32);
    compare(where, normed, norm(sum, gain, shift, tokens, width), dtype);

    double[] twice = sum(x.toDoubles(), y, null);
    Tensor shared = ops.addNorm(x, y, null, sharedGain, sharedShift, EPS);
    compare(where + ", shared", shared, norm(twice, sharedGain, sharedShift, tokens, width), dtype);

    double[] last = sum(x.toDoubles(), y, gate);
    ops.addGated(x, y, gate);
    compare(where + ", gated sum", x, last, DType.F32);
    double[] held = x.toDoubles();
    Tensor alone = ops.norm(x, gain, shift, EPS, dtype);
    compare(where + ", alone", alone, norm(held, gain, shift, tokens, width), dtype);
  }

  private static double[] sum(double[] x, Tensor added, @Nullable Tensor gate) {
    double[] y = added.toDoubles();
    double[] factors = gate == null ? new double[0] : gate.toDoubles();
    int width = (int) added.size(2);
    int row = (int) added.size(1) * width;
    double[] sum = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double factor = factors.length == 0 ? 1 : factors[i / row * width + i % width];
      sum[i] = x[i] + y[i] * factor;
    }
    return sum;
  }

  private static double[] norm(double[] x, Tensor gain, Tensor shift, int tokens, int width) {
    double[] g = gain.toDoubles();
    double[] s = shift.toDoubles();
    double[] out = new double[x.length];
    for (int start = 0; start < x.length; start += width) {
      double mean = 0;
      for (int i = 0; i < width; i++) {
        mean += x[start + i] / width;
      }
      double variance = 0;
      for (int i = 0; i < width; i++) {
        variance += (x[start + i] - mean) * (x[start + i] - mean) / width;
      }
      int parameters = g.length == width ? 0 : start / width / tokens * width;
      for (int i = 0; i < width; i++) {
        out[start + i] =
            (x[start + i] - mean) / Math.sqrt(variance + EPS) * g[parameters + i]
                + s[parameters + i];
      }
    }
    return out;
  }

  private void heads(int rows, int tokens, int heads, int dim) {
    String where = "heads %dx%dx%dx%d".formatted(rows, tokens, heads, dim);
    Tensor projected = values(dtype, rows, tokens, 3, heads, dim);
    Tensor factors = values(DType.F32, 2, heads);
    float[] table = new float[tokens * dim];
    for (int i = 0; i < table.length; i += 2) {
      double angle = random.nextDouble(100);
      table[i] = (float) Math.cos(angle);
      table[i + 1] = (float) Math.sin(angle);
    }
    Tensor positions = Ops.asComplex(Tensor.of(backend, table, tokens, dim / 2, 2).to(device));
    double[] in = projected.toDoubles();
    double[] scales = factors.toDoubles();
    for (boolean normalise : new boolean[] {true, false}) {
      DeviceOps.Heads split = ops.splitHeads(projected.copy(), factors, positions, normalise, null);
      double[][] expected = new double[3][rows * heads * tokens * dim];
      for (int i = 0; i < in.length; i += dim) {
        int head = i / dim % heads;
        int part = i / dim / heads % 3;
        int token = i / dim / heads / 3 % tokens;
        int row = i / dim / heads / 3 / tokens;
        int at = ((row * heads + head) * tokens + token) * dim;
        double norm = 0;
        for (int j = 0; j < dim; j++) {
          norm += in[i + j] * in[i + j];
        }
        double factor = part == 2 ? 1 : scales[part * heads + head];
        factor /= normalise && part < 2 ? Math.sqrt(norm) : 1;
        for (int j = 0; j < dim; j += 2) {
          double cos = part == 2 ? 1 : table[token * dim + j];
          double sin = part == 2 ? 0 : table[token * dim + j + 1];
          double a = in[i + j] * factor;
          double b = in[i + j + 1] * factor;
          expected[part][at + j] = a * cos - b * sin;
          expected[part][at + j + 1] = a * sin + b * cos;
        }
      }
      compare(where + ", queries", split.q(), expected[0], dtype);
      compare(where + ", keys", split.k(), expected[1], dtype);
      compare(where + ", values", split.v(), expected[2], dtype);
      Tensor plain = split.v().transpose(1, 2).contiguous();
      compare(where + ", joined", ops.joinHeads(split.v().contiguous()), plain.toDoubles(), dtype);
    }
  }

  private void attention(int rows, int heads, int tokens, int earlier, int dim) {
    String where = "attention %dx%dx%d+%dx%d".formatted(rows, heads, tokens, earlier, dim);
    double scale = 1 / Math.sqrt(dim);
    Tensor q = values(dtype, rows, heads, tokens, dim);
    Tensor k = values(dtype, rows, heads, tokens, dim);
    Tensor v = values(dtype, rows, heads, tokens, dim);
    Tensor keys = values(dtype, rows, heads, earlier, dim);
    Tensor values = values(dtype, rows, heads, earlier, dim);
    int[] lengths = IntStream.range(0, heads).map(_ -> random.nextInt(0, earlier)).toArray();
    lengths[0] = heads == 1 ? earlier : 0;
    int total = IntStream.of(lengths).sum();
    Tensor retained = values(dtype, 2, rows, total, dim);
    double[][] arrays = {
      k.toDoubles(), v.toDoubles(), keys.toDoubles(), values.toDoubles(), retained.toDoubles()
    };
    SlowAttention own = new SlowAttention(q, scale);
    SlowAttention all = new SlowAttention(q, scale);
    SlowAttention ragged = new SlowAttention(q, scale);
    for (int sequence = 0; sequence < rows * heads; sequence++) {
      int row = sequence / heads;
      int head = sequence % heads;
      int first = sequence * tokens;
      for (SlowAttention one : List.of(own, all, ragged)) {
        one.see(sequence, arrays[0], arrays[1], first, first, tokens);
      }
      int past = sequence * earlier;
      all.see(sequence, arrays[2], arrays[3], past, past, earlier);
      int start = row * total + Arrays.stream(lengths, 0, head).sum();
      ragged.see(sequence, arrays[4], arrays[4], start, rows * total + start, lengths[head]);
    }
    compare(where, ops.attention(q, k, v, scale), own.output(), dtype);
    Ops.AttentionParts parts = ops.attentionWithLse(q, k, v, scale);
    compare(where + ", log-sum-exp", parts.lse(), own.logSumExp(), dtype);
    compare(
        where + ", both", ops.attentionOverBoth(q, k, v, keys, values, scale), all.output(), dtype);
    compare(
        where + ", both, log-sum-exp",
        ops.attentionOverBothWithLse(q, k, v, keys, values, scale).lse(),
        all.logSumExp(),
        dtype);
    // Some of the queries, which don't lie together.
    Tensor observed = q.mul(scale).narrow(2, tokens / 2, tokens - tokens / 2);
    compare(
        where + ", column sums",
        ops.columnSums(observed, k, keys, null),
        SlowAttention.columnSums(observed, List.of(keys, k)),
        dtype);
    compare(
        where + ", column sums of current keys",
        ops.columnSums(observed, k, null, null),
        SlowAttention.columnSums(observed, List.of(k)),
        dtype);
    compare(
        where + ", column sums by log-sum-exp",
        ops.columnSums(
            observed, k, keys, ops.attentionOverBothWithLse(observed, k, v, keys, values, 1).lse()),
        SlowAttention.columnSums(observed, List.of(keys, k)),
        dtype);
    try (Scope owner = Scope.detached()) {
      HeadRanges ranges =
          HeadRanges.of(
                  backend, device, rows, List.of(new HeadRanges.Layer(lengths, tokens)), owner)
              .getFirst();
      compare(
          where + ", retained",
          ops.attentionOverRetained(q, k, v, retained, ranges, scale),
          ragged.output(),
          dtype);
      // The same entries in reverse order at the end of a larger arena.
      Tensor arena = values(dtype, 2, rows, total + 5, dim);
      Tensor slots =
          Tensor.of(backend, LongStream.range(0, total).map(i -> total + 4 - i).toArray(), total)
              .to(device);
      for (int i = 0; i < total; i++) {
        arena.narrow(2, total + 4 - i, 1).copyFrom(retained.narrow(2, i, 1));
      }
      compare(
          where + ", slots",
          ops.attentionOverSlots(q, k, v, arena, slots, ranges, scale),
          ragged.output(),
          dtype);
    }
  }

  private void slots(int rows, int heads, int tokens, int dim) {
    String where = "slots %dx%dx%dx%d".formatted(rows, heads, tokens, dim);
    long[] written =
        LongStream.range(0, heads).filter(h -> h == 0 || random.nextBoolean()).toArray();
    int count = written.length * tokens;
    int capacity = count + random.nextInt(0, 30);
    long[] places = LongStream.range(0, capacity).toArray();
    for (int i = capacity - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      long held = places[i];
      places[i] = places[other];
      places[other] = held;
    }
    long[] slots = Arrays.copyOf(places, count);
    Tensor arena = values(dtype, 2, rows, capacity, dim);
    Tensor k = values(dtype, rows, heads, tokens, dim);
    Tensor v = values(dtype, rows, heads, tokens, dim);
    double[] expected = arena.toDoubles();
    double[] sources = new double[2 * rows * count * dim];
    for (int plane = 0; plane < 2 * rows; plane++) {
      double[] source = plane < rows ? k.toDoubles() : v.toDoubles();
      for (int i = 0; i < count; i++) {
        int head = (int) written[i / tokens];
        int from = ((plane % rows * heads + head) * tokens + i % tokens) * dim;
        System.arraycopy(
            source, from, expected, Math.toIntExact((long) plane * capacity + slots[i]) * dim, dim);
        System.arraycopy(source, from, sources, (plane * count + i) * dim, dim);
      }
    }
    Tensor index = Tensor.of(backend, slots, count).to(device);
    ops.scatterSlots(arena, index, Tensor.of(backend, written, written.length).to(device), k, v);
    compare(where + ", written", arena, expected, dtype);
    compare(where + ", read", ops.gatherSlots(arena, index), sources, dtype);

    replaced(rows, heads, tokens, dim);
    int start = random.nextInt(0, 5);
    int entries = start + tokens + random.nextInt(0, 5);
    Tensor stored = values(dtype, 2, rows, heads, entries, dim);
    double[] appended = stored.toDoubles();
    for (int i = 0; i < 2 * rows * heads; i++) {
      double[] source = i < rows * heads ? k.toDoubles() : v.toDoubles();
      int from = i % (rows * heads) * tokens * dim;
      System.arraycopy(source, from, appended, (i * entries + start) * dim, tokens * dim);
    }
    ops.append(stored.select(0, 0), stored.select(0, 1), start, k, v);
    compare(where + ", appended", stored, appended, dtype);
  }

  /** Group norm with SiLU behind a convolution of one pixel, whose weights only copy channels. */
  private void picture(int rows, int channels, int height, int width) {
    int groups = channels % 24 == 0 ? 24 : 8;
    Tensor x = values(dtype, rows, channels, height, width);
    float[] same = new float[channels * channels];
    for (int i = 0; i < channels; i++) {
      same[i * channels + i] = 1;
    }
    Tensor identity = Tensor.of(backend, same, channels, channels, 1, 1).to(dtype).to(device);
    Tensor none = Tensor.full(backend, 0, dtype, device, channels);
    Tensor weight = values(dtype, channels);
    Tensor bias = values(dtype, channels);
    Tensor copied = Ops.conv2d(x, ops.convolutionWeight(identity), none, 1, 0);
    double[] in = x.toDoubles();
    double[] w = weight.toDoubles();
    double[] b = bias.toDoubles();
    int each = channels / groups * height * width;
    double[] expected = new double[in.length];
    for (int start = 0; start < in.length; start += each) {
      double mean = Arrays.stream(in, start, start + each).average().orElseThrow();
      double variance =
          Arrays.stream(in, start, start + each)
              .map(value -> (value - mean) * (value - mean))
              .average()
              .orElseThrow();
      for (int i = start; i < start + each; i++) {
        int channel = i / (height * width) % channels;
        double y = (in[i] - mean) / Math.sqrt(variance + EPS) * w[channel] + b[channel];
        expected[i] = y / (1 + Math.exp(-y));
      }
    }
    compare(
        "picture %dx%dx%dx%d".formatted(rows, channels, height, width),
        ops.groupNorm(copied, groups, weight, bias, EPS, true),
        expected,
        dtype);
  }

  /** Other entries in the slots of all heads: the same in all rows, then others in each. */
  private void replaced(int rows, int heads, int tokens, int dim) {
    int before = random.nextInt(0, 9);
    int all = before + tokens;
    int kept = random.nextInt(1, all + 1);
    int count = heads * kept;
    Tensor k = values(dtype, rows, heads, tokens, dim);
    Tensor v = values(dtype, rows, heads, tokens, dim);
    Tensor held = before == 0 ? null : values(dtype, 2, rows, heads * before, dim);
    double[][] current = {k.toDoubles(), v.toDoubles()};
    double[] past = held == null ? new double[0] : held.toDoubles();
    for (boolean isShared : new boolean[] {true, false}) {
      // As after a row has left: keys and values lie apart.
      Tensor arena = values(dtype, 2, rows + 1, count + 3, dim).narrow(1, 0, rows);
      double[] expected = arena.contiguous().toDoubles();
      long[] entries = new long[isShared ? count : rows * count];
      for (int i = 0; i < entries.length; i++) {
        entries[i] = (long) i / kept * all + random.nextInt(all);
      }
      for (int plane = 0; plane < 2 * rows; plane++) {
        int row = plane % rows;
        for (int i = 0; i < count; i++) {
          int head = i / kept;
          int entry = (int) (entries[isShared ? i : row * count + i] % all);
          boolean isPast = entry < before;
          int from =
              isPast
                  ? (plane * heads + head) * before + entry
                  : (row * heads + head) * tokens + entry - before;
          System.arraycopy(
              isPast ? past : current[plane / rows],
              from * dim,
              expected,
              (plane * (count + 3) + count + 2 - i) * dim,
              dim);
        }
      }
      long[] slots = LongStream.range(0, count).map(i -> count + 2 - i).toArray();
      ops.replaceSlots(
          arena,
          Tensor.of(backend, slots, count).to(device),
          Tensor.of(backend, entries, entries.length).to(device),
          held,
          k,
          v);
      compare(
          "slots %dx%dx%d+%dx%d, replaced, %s"
              .formatted(rows, heads, tokens, before, dim, isShared ? "shared" : "apart"),
          arena.contiguous(),
          expected,
          dtype);
    }
  }

  private void product(int rows, int tokens, int width) {
    Tensor x = values(dtype, rows, tokens, width);
    Tensor weight = values(dtype, 24, width);
    Tensor bias = values(dtype, 24);
    double[] in = x.toDoubles();
    double[] w = weight.toDoubles();
    double[] b = bias.toDoubles();
    double[] expected = new double[rows * tokens * 24];
    for (int i = 0; i < expected.length; i++) {
      double sum = b[i % 24];
      for (int j = 0; j < width; j++) {
        sum += in[i / 24 * width + j] * w[i % 24 * width + j];
      }
      double inner = Math.sqrt(2 / Math.PI) * (sum + 0.044715 * sum * sum * sum);
      expected[i] = 0.5 * sum * (1 + Math.tanh(inner));
    }
    compare(
        "product %dx%dx%d".formatted(rows, tokens, width),
        ops.linearGelu(x, weight, bias),
        expected,
        dtype);
  }

  private Tensor values(DType type, long... shape) {
    long count = LongStream.of(shape).reduce(1, Math::multiplyExact);
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(backend, values, shape).to(type).to(device);
  }

  private void compare(String what, Tensor actual, double[] expected, DType type) {
    double tolerance =
        switch (type) {
          case BF16 -> 2e-2;
          case F16 -> 3e-3;
          default -> 2e-5;
        };
    double largest = 0;
    for (double value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    double[] relative = actual.toDoubles();
    double[] wanted = expected.clone();
    for (int i = 0; i < relative.length && largest > 0; i++) {
      relative[i] /= largest;
      wanted[i] /= largest;
    }
    Comparison comparison = new Comparison(dtype + " " + what, tolerance);
    comparison.add(relative, wanted, what);
    comparison.report(checks::add);
  }
}
