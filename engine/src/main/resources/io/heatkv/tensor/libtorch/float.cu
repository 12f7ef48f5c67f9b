// Attention in float32 on tensor cores: one launch over two sets of keys, read where they lie.
//
// Compiled at run time for heads of DIM channels: 16, 32, 64 or 128. A number is taken as the sum of
// its nearest in TF32 and of the rest, in TF32 again, and a product as three, all but that of the
// rests (Ootomo and Yokota, arXiv 2203.03341). Tensor cores cut where they add: so they add up a
// tile at most, and its sums are added in float32. Each of the four warps of a block holds 16 queries
// of one head, or 32, and goes through the keys in tiles with an online softmax. While scores are
// computed, values are copied to shared memory, and while values are weighed, the next keys.

typedef long long i64;
typedef unsigned int u32;

#define THREADS 128
// Units of 4 channels of an entry.
#define UNITS (DIM / 4)
// Channels of a value that a thread reads at once, and how often it does.
#define WIDE (DIM < 32 ? 2 : 4)
#define GROUPS (DIM / 8 / WIDE)
// Groups of 8 keys whose scores are computed side by side.
#define TOGETHER 4

static __device__ void split(float x, u32& high, u32& low) {
  high = (__float_as_uint(x) + 0x1000) & 0xffffe000;
  low = __float_as_uint(__fsub_rn(x, __uint_as_float(high)));
}

// c [16, 8] += a [16, 8] b [8, 8]
static __device__ void multiply(float* c, const u32* a, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ float power(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

template <int bytes> static __device__ void copy(void* to, const void* from, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
               :: "r"((u32)__cvta_generic_to_shared(to)), "l"(from), "n"(bytes),
                  "r"(valid ? bytes : 0) : "memory");
}

static __device__ void await() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Where units lie, so that threads that read at once read different banks: of queries and keys a
// thread reads one of four neighbours, of values every second entry's.
static __device__ int keyAt(int entry, int unit) {
  return entry * UNITS + (DIM < 32 ? unit : unit ^ entry % 2 * 4);
}
static __device__ int valueAt(int entry, int unit) {
  return entry * UNITS + (unit ^ entry / 2 % (DIM < 32 ? 2 : 4) * 2);
}

// Entries of a head: so many units apart, or at slots; `added` to scores, in units of the logarithm to
// base 2, or null.
struct Keys {
  const float *k, *v;
  i64 apart, count;
  const i64* slots;
  const float* added;

  template <int KEYS> __device__ void load(float4* to, bool isKeys, i64 start) const {
    const float4* from = (const float4*)(isKeys ? k : v);
    int left = (int)(count - start < KEYS ? count - start : KEYS);
    if (!slots) from += start * apart;
#pragma unroll 1
    for (int i = threadIdx.x; i < KEYS * UNITS; i += THREADS) {
      int row = i / UNITS, unit = i % UNITS;
      bool valid = row < left;
      i64 at = (valid ? row : 0) * apart + unit;
      if (slots) at = slots[start + (valid ? row : 0)] * UNITS + unit;
      copy<16>(to + (isKeys ? keyAt(row, unit) : valueAt(row, unit)), from + at, valid);
    }
  }

  template <int KEYS> __device__ void loadAdded(float* to, i64 start) const {
    if (threadIdx.x >= KEYS) return;
    bool valid = added && start + threadIdx.x < count;
    copy<4>(to + threadIdx.x, valid ? added + start + threadIdx.x : k, valid);
  }
};

struct alignas(4 * WIDE) Part { float at[WIDE]; };

// 16 M queries of a warp and what they attended to so far. Of products of 16 of them a thread has
// rows `lane / 4` and 8 more, and of their columns `lane % 4 * 2` and the next.
template <int M, int KEYS> struct Attention {
  float scores[M][KEYS / 8][4], sums[M][DIM / 8][4];
  float largest[M][2], total[M][2], shrink[M][2];
  int lane;

  __device__ Attention() : lane(threadIdx.x % 32) {
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
      for (int i = 0; i < DIM / 8; i++)
        sums[m][i][0] = sums[m][i][1] = sums[m][i][2] = sums[m][i][3] = 0;
      largest[m][0] = largest[m][1] = -1e30f;
      total[m][0] = total[m][1] = 0;
    }
  }

  // Channels are summed up in any order: a thread takes four neighbours for two products.
  __device__ void score(const float4* query, const float4* keys) {
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++)
        scores[m][j][0] = scores[m][j][1] = scores[m][j][2] = scores[m][j][3] = 0;
    }
#pragma unroll 1
    for (int i = 0; i < DIM / 16; i++) {
      int unit = i * 4 + lane % 4;
      u32 high[M][2][4], low[M][2][4];
#pragma unroll
      for (int m = 0; m < M; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
          float4 x = query[keyAt(m * 16 + r * 8 + lane / 4, unit)];
          split(x.x, high[m][0][r], low[m][0][r]);
          split(x.y, high[m][0][r + 2], low[m][0][r + 2]);
          split(x.z, high[m][1][r], low[m][1][r]);
          split(x.w, high[m][1][r + 2], low[m][1][r + 2]);
        }
      }
#pragma unroll
      for (int first = 0; first < KEYS / 8; first += TOGETHER) {
        u32 keyHigh[TOGETHER][4], keyLow[TOGETHER][4];
        float part[TOGETHER][M][4] = {};
#pragma unroll
        for (int j = 0; j < TOGETHER; j++) {
          float4 key = keys[keyAt((first + j) * 8 + lane / 4, unit)];
          split(key.x, keyHigh[j][0], keyLow[j][0]);
          split(key.y, keyHigh[j][1], keyLow[j][1]);
          split(key.z, keyHigh[j][2], keyLow[j][2]);
          split(key.w, keyHigh[j][3], keyLow[j][3]);
        }
        // The small products first, beside which the others are cut.
#pragma unroll
        for (int step = 0; step < 6; step++) {
          int half = step < 4 ? step / 2 : step - 4;
#pragma unroll
          for (int j = 0; j < TOGETHER; j++) {
            const u32* key = (step == 1 || step == 3 ? keyLow[j] : keyHigh[j]) + 2 * half;
#pragma unroll
            for (int m = 0; m < M; m++)
              multiply(part[j][m], step == 0 || step == 2 ? low[m][half] : high[m][half], key[0],
                       key[1]);
          }
        }
#pragma unroll
        for (int j = 0; j < TOGETHER; j++) {
#pragma unroll
          for (int m = 0; m < M; m++) {
#pragma unroll
            for (int c = 0; c < 4; c++) scores[m][first + j][c] += part[j][m][c];
          }
        }
      }
    }
  }

  // Scores, of which `left` count, to weights. They are multiplied by scale, so that exp2 of them is
  // exp of the scaled scores.
  __device__ void weigh(i64 left, float scale, const float* added) {
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
      float2 both = *(const float2*)(added + j * 8 + lane % 4 * 2);
#pragma unroll
      for (int m = 0; m < M; m++) {
#pragma unroll
        for (int c = 0; c < 4; c++)
          scores[m][j][c] = fmaf(scores[m][j][c], scale, c % 2 ? both.y : both.x);
      }
    }
    if (left < KEYS) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
          for (int c = 0; c < 4; c++)
            if (j * 8 + lane % 4 * 2 + c % 2 >= left) scores[m][j][c] = -1e30f;
        }
      }
    }
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float most = largest[m][r], part = 0;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
          most = fmaxf(most, fmaxf(scores[m][j][2 * r], scores[m][j][2 * r + 1]));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
        shrink[m][r] = power(largest[m][r] - most);
        largest[m][r] = most;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
          for (int c = 2 * r; c < 2 * r + 2; c++) {
            scores[m][j][c] = power(scores[m][j][c] - most);
            part += scores[m][j][c];
          }
        }
        total[m][r] = fmaf(total[m][r], shrink[m][r], part);
      }
    }
  }

  // Column n of the i-th product of a group is channel n * WIDE + i there.
  __device__ void sum(const float4* values) {
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
      float part[M][WIDE][4] = {};
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
        u32 high[M][4], low[M][4], valueHigh[2][WIDE], valueLow[2][WIDE];
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
          for (int c = 0; c < 4; c++)
            split(scores[m][j][c], high[m][c % 2 * 2 + c / 2], low[m][c % 2 * 2 + c / 2]);
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
          int channel = (group * 8 + lane / 4) * WIDE, entry = j * 8 + lane % 4 * 2 + r;
          const float* from = (const float*)(values + valueAt(entry, channel / 4)) + channel % 4;
          Part value = *(const Part*)from;
#pragma unroll
          for (int i = 0; i < WIDE; i++) split(value.at[i], valueHigh[r][i], valueLow[r][i]);
        }
#pragma unroll
        for (int step = 0; step < 3; step++) {
#pragma unroll
          for (int i = 0; i < WIDE; i++) {
#pragma unroll
            for (int m = 0; m < M; m++)
              multiply(part[m][i], step == 0 ? low[m] : high[m],
                       step == 1 ? valueLow[0][i] : valueHigh[0][i],
                       step == 1 ? valueLow[1][i] : valueHigh[1][i]);
          }
        }
      }
#pragma unroll
      for (int m = 0; m < M; m++) {
#pragma unroll
        for (int i = 0; i < WIDE; i++) {
#pragma unroll
          for (int c = 0; c < 4; c++) {
            float* to = &sums[m][group * WIDE + i][c];
            *to = fmaf(*to, shrink[m][c / 2], part[m][i][c]);
          }
        }
      }
    }
  }

  // out [rows, queries, heads, DIM], lse [rows, heads, queries] or null.
  __device__ void write(float* out, float* lse, int first, int row, int head, int heads, int queries) {
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float all = total[m][r];
        all += __shfl_xor_sync(~0u, all, 1);
        all += __shfl_xor_sync(~0u, all, 2);
        int token = first + m * 16 + r * 8 + lane / 4;
        if (token >= queries) continue;
        if (lse && lane % 4 == 0)
          lse[((i64)row * heads + head) * queries + token] =
              (largest[m][r] + log2f(all)) * 0.69314718f;
        // A head may have no keys: its output is 0, its log-sum-exp minus infinity.
        float inverse = all > 0 ? 1 / all : 0;
        float* to = out + (((i64)row * queries + token) * heads + head) * DIM;
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
#pragma unroll
          for (int c = 0; c < 2; c++) {
            Part part;
#pragma unroll
            for (int i = 0; i < WIDE; i++)
              part.at[i] = sums[m][group * WIDE + i][2 * r + c] * inverse;
            *(Part*)(to + (group * 8 + lane % 4 * 2 + c) * WIDE) = part;
          }
        }
      }
    }
  }
};

// Two sets of keys and values: rows and heads lie rowStride and headStride elements apart, entries
// of the second tokenStride2. With ends, a head's first set is the entries of its row from
// ends[head] to ends[head + 1], counted in `unit` entries; with slots, entry i is at slots[i]; with
// added, that is added to its score, and little ends them.
#define ARGUMENTS                                                                                  \
  const float *q, i64 qRow, i64 qHead, i64 qToken, float *out, float *lse, int queries, int heads, \
      float scale, const float *k1, const float *v1, i64 rowStride1, i64 headStride1, i64 count1,  \
      const i64 *slots, const int *ends, int unit, const float *added, const float *k2,            \
      const float *v2, i64 rowStride2, i64 headStride2, i64 tokenStride2, i64 count2

template <int M, int KEYS> static __device__ void attend(ARGUMENTS) {
  extern __shared__ float4 memory[];
  __shared__ Keys sets[2];
  const int held = THREADS / 2 * M;
  float4* query = memory;
  float4* keys = query + held * UNITS;
  float4* values = keys + KEYS * UNITS;
  float* counts = (float*)(values + KEYS * UNITS);
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  i64 offset1 = row * rowStride1 + head * headStride1;
  i64 offset2 = row * rowStride2 + head * headStride2;
  if (ends) {
    i64 first = (i64)ends[head] * unit;
    count1 = (i64)ends[head + 1] * unit - first;
    if (slots) slots += first;
    else offset1 += first * DIM;
    if (added) added += first;
  }
  if (threadIdx.x == 0) {
    sets[0] = {k1 + offset1, v1 + offset1, UNITS, count1, slots, added};
    sets[1] = {k2 + offset2, v2 + offset2, tokenStride2 / 4, count2, nullptr, nullptr};
  }
  int before = (int)((count1 + KEYS - 1) / KEYS), tiles = before + (int)((count2 + KEYS - 1) / KEYS);
  if (added)
    while (before > 0 && added[(i64)(before - 1) * KEYS] < -1e29f) before--, tiles--;

  int block = blockIdx.x * held, first = block + threadIdx.x / 32 * 16 * M;
  q += row * qRow + head * qHead;
  for (int i = threadIdx.x; i < held * UNITS; i += THREADS) {
    int n = i / UNITS, at = i % UNITS;
    bool valid = block + n < queries;
    copy<16>(query + keyAt(n, at), q + (valid ? block + n : 0) * qToken + at * 4, valid);
  }
  query += threadIdx.x / 32 * 16 * M * UNITS;
  scale *= 1.44269504f;
  Attention<M, KEYS> attention;
  __syncthreads();
#pragma unroll 1
  for (int t = -1; t < tiles; t++) {
    // Of the tile t, whose keys are there, and of the next.
    bool isBusy = t >= 0 && first < queries;
    if (t >= 0) {
      int set = t >= before, start = (t - set * before) * KEYS;
      sets[set].load<KEYS>(values, false, start);
      if (isBusy) {
        attention.score(query, keys);
        attention.weigh(sets[set].count - start, scale, counts + t % 2 * KEYS);
      }
      await();
      __syncthreads();
    }
    if (t + 1 < tiles) {
      int set = t + 1 >= before, start = (t + 1 - set * before) * KEYS;
      sets[set].load<KEYS>(keys, true, start);
      sets[set].loadAdded<KEYS>(counts + (t + 1) % 2 * KEYS, start);
    }
    if (isBusy) attention.sum(values);
    await();
    __syncthreads();
  }
  attention.write(out, lse, first, row, head, heads, queries);
}

#define GIVEN                                                                                  \
  q, qRow, qHead, qToken, out, lse, queries, heads, scale, k1, v1, rowStride1, headStride1,    \
      count1, slots, ends, unit, added, k2, v2, rowStride2, headStride2, tokenStride2, \
      count2

// Grid: tiles of 64 queries x rows * heads.
extern "C" __global__ void __launch_bounds__(THREADS, DIM > 32 ? 2 : 3) attend_few(ARGUMENTS) {
  awaitEarlier();
  attend<1, (DIM > 64 ? 32 : 64)>(GIVEN);
}

#if DIM < 128
// Twice as many queries share what is made of a key and a value.
// Grid: tiles of 128 queries x rows * heads.
extern "C" __global__ void __launch_bounds__(THREADS, 2) attend_many(ARGUMENTS) {
  awaitEarlier();
  attend<2, (DIM > 32 ? 32 : 64)>(GIVEN);
}
#endif
