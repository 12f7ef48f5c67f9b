package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Views of views against index arithmetic in plain Java, and whose memory they keep. */
class ViewTest {
  private final Backend backend = TestDevice.backend();
  private final Device device = TestDevice.device();
  private long live;

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Elements in row-major order. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Plain(long[] sizes, float[] elements) {
    Plain permuted(int[] from) {
      long[] newSizes = Arrays.stream(from).mapToLong(i -> sizes[i]).toArray();
      float[] moved = new float[elements.length];
      for (int at = 0; at < moved.length; at++) {
        int[] index = new int[sizes.length];
        int rest = at;
        for (int i = from.length - 1; i >= 0; i--) {
          index[from[i]] = (int) (rest % newSizes[i]);
          rest /= (int) newSizes[i];
        }
        int source = 0;
        for (int i = 0; i < index.length; i++) {
          source = source * (int) sizes[i] + index[i];
        }
        moved[at] = elements[source];
      }
      return new Plain(newSizes, moved);
    }

    Plain narrowed(int dim, int start, int length) {
      long[] newSizes = sizes.clone();
      newSizes[dim] = length;
      int inner = (int) Arrays.stream(sizes, dim + 1, sizes.length).reduce(1, (a, b) -> a * b);
      int size = (int) sizes[dim];
      int[] kept =
          IntStream.range(0, elements.length)
              .filter(i -> i / inner % size >= start && i / inner % size < start + length)
              .toArray();
      float[] cut = new float[kept.length];
      for (int i = 0; i < kept.length; i++) {
        cut[i] = elements[kept[i]];
      }
      return new Plain(newSizes, cut);
    }

    Plain shaped(long... newSizes) {
      return new Plain(newSizes, elements);
    }
  }

  private Tensor tensor(Plain plain) {
    return Tensor.of(backend, plain.elements, plain.sizes).to(device);
  }

  private static Plain random(Random random) {
    long[] sizes = random.longs(random.nextInt(1, 5), 1, 6).toArray();
    float[] elements = new float[(int) Arrays.stream(sizes).reduce(1, (a, b) -> a * b)];
    for (int i = 0; i < elements.length; i++) {
      elements[i] = random.nextFloat();
    }
    return new Plain(sizes, elements);
  }

  @Test
  void chainsOfViewsReadAndWriteWhatIndexArithmeticSays() {
    for (long seed = 0; seed < 300; seed++) {
      Random random = new Random(seed);
      Plain plain = random(random);
      try (Scope _ = Scope.open()) {
        Tensor base = tensor(plain);
        Tensor view = base;
        long made = backend.liveTensors();
        boolean isMade = true;
        for (int step = 0; step < 5; step++) {
          int rank = plain.sizes.length;
          int dim = rank == 0 ? 0 : random.nextInt(rank);
          switch (random.nextInt(rank == 0 ? 1 : 5)) {
            case 0 -> {
              int at = random.nextInt(rank + 1);
              long[] sizes = new long[rank + 1];
              for (int i = 0; i <= rank; i++) {
                sizes[i] = i == at ? 1 : plain.sizes[i < at ? i : i - 1];
              }
              plain = plain.shaped(sizes);
              view = view.unsqueeze(at);
            }
            case 1 -> {
              int size = (int) plain.sizes[dim];
              int start = random.nextInt(size);
              int length = random.nextInt(1, size - start + 1);
              plain = plain.narrowed(dim, start, length);
              view = view.narrow(dim, start, length);
            }
            case 2 -> {
              int at = random.nextInt((int) plain.sizes[dim]);
              Plain one = plain.narrowed(dim, at, 1);
              long[] sizes =
                  IntStream.range(0, rank)
                      .filter(i -> i != dim)
                      .mapToLong(i -> one.sizes[i])
                      .toArray();
              plain = one.shaped(sizes);
              view = view.select(dim, at);
            }
            case 3 -> {
              int[] from = IntStream.range(0, rank).toArray();
              int other = random.nextInt(rank);
              from[dim] = other;
              from[other] = dim;
              plain = plain.permuted(from);
              view = view.transpose(dim, other);
            }
            default -> {
              // Libtorch copies where the elements don't lie in order.
              isMade &= view.isContiguous();
              plain = plain.shaped(plain.elements.length, 1);
              view = view.reshape(-1, 1);
            }
          }
        }
        if (isMade) {
          assertThat(backend.liveTensors()).as("views take no handle").isEqualTo(made);
        }
        assertThat(view.shape()).as("seed %d", seed).isEqualTo(plain.sizes);
        assertThat(view.toFloats()).as("seed %d", seed).isEqualTo(plain.elements);
        assertThat(view.add(1).add(-1).shape()).isEqualTo(plain.sizes);
        assertThat(view.mul(2).toFloats()).as("seed %d", seed).isEqualTo(twice(plain.elements));
        if (view.isContiguous()) {
          // An own kernel reads at the address that libtorch would name.
          assertThat(view.address()).isEqualTo(backend.address(view.handle()));
        }
        view.copyFrom(Tensor.full(backend, 5, DType.F32, device, view.shape()));
        long fives = 0;
        for (float element : base.toFloats()) {
          fives += element == 5 ? 1 : 0;
        }
        assertThat(isMade ? fives : view.count()).as("seed %d", seed).isEqualTo(view.count());
      }
    }
  }

  private static float[] twice(float[] values) {
    float[] doubled = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      doubled[i] = 2 * values[i];
    }
    return doubled;
  }

  @Test
  void viewsOutliveTheirSource() {
    try (Scope outer = Scope.open()) {
      Tensor unread;
      Tensor read;
      try (Scope _ = Scope.open()) {
        Tensor base = Tensor.of(backend, new float[] {1, 2, 3, 4, 5, 6}, 2, 3).to(device).add(0);
        unread = outer.adopt(base.select(0, 1));
        read = outer.adopt(base.narrow(1, 1, 2).transpose(0, 1));
        assertThat(read.mul(1).toFloats()).containsExactly(2, 5, 3, 6);
      }
      // What is allocated next must not lie there.
      for (int i = 0; i < 20; i++) {
        Tensor _ = Tensor.full(backend, -1, DType.F32, device, 2, 3);
      }
      assertThat(unread.toFloats()).containsExactly(4, 5, 6);
      assertThat(read.toFloats()).containsExactly(2, 5, 3, 6);
      unread.release();
      assertThatThrownBy(unread::handle).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(unread::address).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> unread.select(0, 0)).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void aViewThatNobodyOwnsIsRefusedAndKeepsNothing() {
    Scope owner = Scope.detached();
    Tensor base;
    try (Scope _ = Scope.open()) {
      base = owner.adopt(Tensor.full(backend, 1, DType.F32, device, 4));
    }
    assertThatThrownBy(() -> base.narrow(0, 0, 2)).isInstanceOf(IllegalStateException.class);
    owner.close();
  }

  /** Weights are looked at by every thread that draws. */
  @Test
  void threadsLookAtSharedTensorsAtOnce() throws Exception {
    try (Scope _ = Scope.open();
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      Tensor weights = Tensor.of(backend, new float[] {1, 2, 3, 4, 5, 6}, 3, 2).to(device);
      for (int round = 0; round < 50; round++) {
        Tensor shared = weights.transpose(0, 1);
        List<Future<float[]>> sums = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          sums.add(
              threads.submit(() -> {
                try (Scope _ = Scope.open()) {
                  return shared.add(weights.transpose(0, 1)).toFloats();
                }
              }));
        }
        for (Future<float[]> sum : sums) {
          assertThat(sum.get()).containsExactly(2, 6, 10, 4, 8, 12);
        }
      }
    }
  }

  /** Rotary tables are such: kernels read their slices by address. */
  @Test
  void aSliceOfComplexNumbersBeginsAtItsOffset() {
    try (Scope _ = Scope.open()) {
      Tensor pairs = Tensor.full(backend, 1, DType.F32, device, 5, 3, 2);
      Tensor table = Ops.asComplex(pairs);
      assertThat(table.narrow(0, 2, 3).address() - pairs.address()).isEqualTo(2 * 3 * 2 * 4);
      assertThat(table.bytes()).isEqualTo(pairs.bytes());
    }
  }
}
