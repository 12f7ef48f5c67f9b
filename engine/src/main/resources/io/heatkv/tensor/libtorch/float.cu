// Attention in float32 on tensor cores: one launch over two sets of keys, read where they lie.
//
// Compiled at run time for heads of DIM channels: 16, 32, 64 or 128. A number is taken as the sum of
// its nearest in TF32 and of the rest, in TF32 again, and a product as three, all but that of the
// rests (Ootomo and Yokota, arXiv 2203.03341). Tensor cores cut where they add: so they add a few
// numbers only, and their sums are added in float32. A block holds 16 queries of one head in each of
// its warps and goes through the keys in tiles of 64 with an online softmax. While scores are
// computed, values are copied to shared memory, and while values are weighed, the next keys.

typedef long long i64;
typedef unsigned int u32;

#define KEYS 64
// Units of 4 channels of an entry.
#define UNITS (DIM / 4)
// Channels of a value that a thread reads at once, and how often it does.
#define WIDE (DIM < 32 ? 2 : 4)
#define GROUPS (DIM / 8 / WIDE)
// Threads of a block at most, and blocks of a multiprocessor at least.
#define MOST (DIM <= 32 ? 256 : 128)
#define BLOCKS (DIM <= 32 ? 2 : DIM == 64 ? 3 : 2)

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

// Entries of a head: one after another, or at slots; `added` to scores, in units of the logarithm to
// base 2, or null.
struct Keys {
  const float *k, *v;
  i64 count;
  const i64* slots;
  const float* added;

  __device__ void load(float4* to, bool isKeys, i64 start) const {
    for (int i = threadIdx.x; i < KEYS * UNITS; i += blockDim.x) {
      int row = i / UNITS, unit = i % UNITS;
      bool valid = start + row < count;
      i64 entry = start + (valid ? row : 0);
      if (slots) entry = slots[entry];
      copy<16>(to + (isKeys ? keyAt(row, unit) : valueAt(row, unit)),
               (isKeys ? k : v) + entry * DIM + unit * 4, valid);
    }
  }

  __device__ void loadAdded(float* to, i64 start) const {
    if (threadIdx.x >= KEYS) return;
    bool valid = added && start + threadIdx.x < count;
    copy<4>(to + threadIdx.x, valid ? added + start + threadIdx.x : k, valid);
  }
};

struct alignas(4 * WIDE) Part { float at[WIDE]; };

// 16 queries of a warp and what they attended to so far. A thread has rows `lane / 4` and 8 more of
// products, and of their columns `lane % 4 * 2` and the next.
struct Attention {
  float scores[KEYS / 8][4], sums[DIM / 8][4];
  float largest[2], total[2], shrink[2];
  int lane;

  __device__ Attention() : lane(threadIdx.x % 32) {
#pragma unroll
    for (int i = 0; i < DIM / 8; i++) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0;
    largest[0] = largest[1] = -1e30f;
    total[0] = total[1] = 0;
  }

  // Channels are summed up in any order: a thread takes four neighbours for two products.
  __device__ void score(const float4* query, const float4* keys) {
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) scores[j][0] = scores[j][1] = scores[j][2] = scores[j][3] = 0;
#pragma unroll 1
    for (int i = 0; i < DIM / 16; i++) {
      int unit = i * 4 + lane % 4;
      float4 a = query[keyAt(lane / 4, unit)], b = query[keyAt(lane / 4 + 8, unit)];
      u32 high[2][4], low[2][4];
      split(a.x, high[0][0], low[0][0]);
      split(b.x, high[0][1], low[0][1]);
      split(a.y, high[0][2], low[0][2]);
      split(b.y, high[0][3], low[0][3]);
      split(a.z, high[1][0], low[1][0]);
      split(b.z, high[1][1], low[1][1]);
      split(a.w, high[1][2], low[1][2]);
      split(b.w, high[1][3], low[1][3]);
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
        float4 key = keys[keyAt(j * 8 + lane / 4, unit)];
        u32 keyHigh[4], keyLow[4];
        split(key.x, keyHigh[0], keyLow[0]);
        split(key.y, keyHigh[1], keyLow[1]);
        split(key.z, keyHigh[2], keyLow[2]);
        split(key.w, keyHigh[3], keyLow[3]);
        // The small ones first, beside which the others are cut.
        float sum[4] = {};
        multiply(sum, low[0], keyHigh[0], keyHigh[1]);
        multiply(sum, high[0], keyLow[0], keyLow[1]);
        multiply(sum, low[1], keyHigh[2], keyHigh[3]);
        multiply(sum, high[1], keyLow[2], keyLow[3]);
        multiply(sum, high[0], keyHigh[0], keyHigh[1]);
        multiply(sum, high[1], keyHigh[2], keyHigh[3]);
#pragma unroll
        for (int c = 0; c < 4; c++) scores[j][c] += sum[c];
      }
    }
  }

  // Scores, of which `left` count, to weights. They are multiplied by scale, so that exp2 of them is
  // exp of the scaled scores.
  __device__ void weigh(i64 left, float scale, const float* added) {
    float most[2] = {largest[0], largest[1]};
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
      float2 both = *(const float2*)(added + j * 8 + lane % 4 * 2);
#pragma unroll
      for (int c = 0; c < 4; c++) {
        scores[j][c] = fmaf(scores[j][c], scale, c % 2 ? both.y : both.x);
        if (j * 8 + lane % 4 * 2 + c % 2 >= left) scores[j][c] = -1e30f;
        most[c / 2] = fmaxf(most[c / 2], scores[j][c]);
      }
    }
    float part[2] = {};
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 2));
      shrink[r] = power(largest[r] - most[r]);
      largest[r] = most[r];
    }
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        scores[j][c] = power(scores[j][c] - largest[c / 2]);
        part[c / 2] += scores[j][c];
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) total[r] = fmaf(total[r], shrink[r], part[r]);
  }

  // Column n of the i-th product of a group is channel n * WIDE + i there.
  __device__ void sum(const float4* values) {
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
      float large[WIDE][4] = {}, small[WIDE][4] = {};
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
        u32 high[4], low[4];
#pragma unroll
        for (int c = 0; c < 4; c++) split(scores[j][c], high[c % 2 * 2 + c / 2], low[c % 2 * 2 + c / 2]);
        Part value[2];
        u32 valueHigh[2][WIDE], valueLow[2][WIDE];
#pragma unroll
        for (int r = 0; r < 2; r++) {
          int channel = (group * 8 + lane / 4) * WIDE, entry = j * 8 + lane % 4 * 2 + r;
          const float* from = (const float*)(values + valueAt(entry, channel / 4)) + channel % 4;
          value[r] = *(const Part*)from;
#pragma unroll
          for (int i = 0; i < WIDE; i++) split(value[r].at[i], valueHigh[r][i], valueLow[r][i]);
        }
#pragma unroll
        for (int i = 0; i < WIDE; i++) multiply(small[i], low, valueHigh[0][i], valueHigh[1][i]);
#pragma unroll
        for (int i = 0; i < WIDE; i++) multiply(large[i], high, valueHigh[0][i], valueHigh[1][i]);
#pragma unroll
        for (int i = 0; i < WIDE; i++) multiply(small[i], high, valueLow[0][i], valueLow[1][i]);
      }
#pragma unroll
      for (int i = 0; i < WIDE; i++) {
#pragma unroll
        for (int c = 0; c < 4; c++) {
          float* to = &sums[group * WIDE + i][c];
          *to = fmaf(*to, shrink[c / 2], large[i][c] + small[i][c]);
        }
      }
    }
  }

  // out [rows, queries, heads, DIM], lse [rows, heads, queries] or null.
  __device__ void write(float* out, float* lse, int first, int row, int head, int heads, int queries) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      total[r] += __shfl_xor_sync(~0u, total[r], 1);
      total[r] += __shfl_xor_sync(~0u, total[r], 2);
      int token = first + lane / 4 + r * 8;
      if (token >= queries) continue;
      if (lse && lane % 4 == 0)
        lse[((i64)row * heads + head) * queries + token] =
            (largest[r] + log2f(total[r])) * 0.69314718f;
      // A head may have no keys: its output is 0, its log-sum-exp minus infinity.
      float inverse = total[r] > 0 ? 1 / total[r] : 0;
      float* to = out + (((i64)row * queries + token) * heads + head) * DIM;
#pragma unroll
      for (int group = 0; group < GROUPS; group++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          Part part;
#pragma unroll
          for (int i = 0; i < WIDE; i++) part.at[i] = sums[group * WIDE + i][2 * r + c] * inverse;
          *(Part*)(to + (group * 8 + lane % 4 * 2 + c) * WIDE) = part;
        }
      }
    }
  }
};

// Two sets of keys and values: rows and heads lie rowStride and headStride elements apart. With
// ends, a head's first set is the entries of its row from ends[head] to ends[head + 1], counted in
// `unit` entries; with slots, entry i is at slots[i]; with added, that is added to its score, and
// little ends them. q with the given strides.
// Grid: as many queries as a block has threads / 2 x rows * heads.
extern "C" __global__ void __launch_bounds__(MOST, BLOCKS) attend_float(
    const float* q, i64 qRow, i64 qHead, i64 qToken, float* out, float* lse, int queries, int heads,
    float scale, const float* k1, const float* v1, i64 rowStride1, i64 headStride1, i64 count1,
    const i64* slots, const int* ends, int unit, const float* added, const float* k2,
    const float* v2, i64 rowStride2, i64 headStride2, i64 count2) {
  extern __shared__ float4 memory[];
  int held = blockDim.x / 2;
  float4* query = memory;
  float4* keys = query + held * UNITS;
  float4* values = keys + KEYS * UNITS;
  float* counts = (float*)(values + KEYS * UNITS);
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  i64 offset1 = row * rowStride1 + head * headStride1;
  i64 offset2 = row * rowStride2 + head * headStride2;
  __shared__ Keys sets[2];
  if (ends) {
    i64 first = (i64)ends[head] * unit;
    count1 = (i64)ends[head + 1] * unit - first;
    if (slots) slots += first;
    else offset1 += first * DIM;
    if (added) added += first;
  }
  if (threadIdx.x == 0) {
    sets[0] = {k1 + offset1, v1 + offset1, count1, slots, added};
    sets[1] = {k2 + offset2, v2 + offset2, count2, nullptr, nullptr};
  }
  int before = (int)((count1 + KEYS - 1) / KEYS), tiles = before + (int)((count2 + KEYS - 1) / KEYS);
  if (added)
    while (before > 0 && added[(i64)(before - 1) * KEYS] < -1e29f) before--, tiles--;

  int block = blockIdx.x * held, first = block + threadIdx.x / 32 * 16;
  q += row * qRow + head * qHead;
  for (int i = threadIdx.x; i < held * UNITS; i += blockDim.x) {
    int n = i / UNITS, at = i % UNITS;
    bool valid = block + n < queries;
    copy<16>(query + keyAt(n, at), q + (valid ? block + n : 0) * qToken + at * 4, valid);
  }
  query += threadIdx.x / 32 * 16 * UNITS;
  scale *= 1.44269504f;
  Attention attention;
  __syncthreads();
#pragma unroll 1
  for (int t = -1; t < tiles; t++) {
    // Of the tile t, whose keys are there, and of the next.
    bool isBusy = t >= 0 && first < queries;
    if (t >= 0) {
      int set = t >= before, start = (t - set * before) * KEYS;
      sets[set].load(values, false, start);
      if (isBusy) {
        attention.score(query, keys);
        attention.weigh(sets[set].count - start, scale, counts + t % 2 * KEYS);
      }
      await();
      __syncthreads();
    }
    if (t + 1 < tiles) {
      int set = t + 1 >= before, start = (t + 1 - set * before) * KEYS;
      sets[set].load(keys, true, start);
      sets[set].loadAdded(counts + (t + 1) % 2 * KEYS, start);
    }
    if (isBusy) attention.sum(values);
    await();
    __syncthreads();
  }
  attention.write(out, lse, first, row, head, heads, queries);
}
