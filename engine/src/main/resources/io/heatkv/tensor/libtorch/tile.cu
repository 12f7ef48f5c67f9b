// Attention by small tiles, for attention.cu and levels.cu: compiled at run time, after stored.cu, with
// ELEMENT 1 (float16) or 2 (bfloat16); DIM may be any multiple of 16 up to 128. A block holds 64
// queries of one head, 16 in each of its 4 warps, and goes through the keys in tiles of 64 with an
// online softmax; products run on tensor cores. With EXACT_WEIGHTS what rounding takes from weights
// is multiplied too.

#define KEYS 64
#define PITCH (DIM + 8)

#if ELEMENT == 1
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#endif

static __device__ void multiply(float* c, const u32* a, u32 b0, u32 b1) {
  asm volatile(MMA "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ u32 shared(const T* at) { return (u32)__cvta_generic_to_shared(at); }

static __device__ void load4(u32* r, const T* at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared(at)));
}

static __device__ void load4Transposed(u32* r, const T* at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared(at)));
}

static __device__ void copy16(T* to, const T* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :: "r"(shared(to)), "l"(from), "r"(valid ? 16 : 0));
}

#ifdef EXACT_WEIGHTS
// What rounding took from two weights.
static __device__ u32 rest(u32 both, const float* weights, int first) {
  return pack(weights[first] - widen((T)both), weights[first + 1] - widen((T)(both >> 16)));
}
#endif

// Queries of a block and what was attended to so far.
struct Attention {
  // Queries stay in registers, as the left operand of the first product.
  u32 query[DIM / 16][4];
  float sums[DIM / 8][4];
  float largest[2], total[2];
  int lane, group, pair, first;

  // Of 64 queries, of which `block` such come before.
  __device__ Attention(const T* q, i64 token, int queries, int block) {
    begin(block * 64 + threadIdx.x / 32 * 16);
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int n = first + group + j % 2 * 8, channel = i * 16 + pair + j / 2 * 8;
        query[i][j] = n < queries ? *(const u32*)(q + n * token + channel) : 0;
      }
    }
  }

  // Of 16 queries in shared memory, the first of which is `first`.
  __device__ Attention(const T* rows, int first) {
    begin(first);
#pragma unroll
    for (int i = 0; i < DIM / 16; i++)
      load4(query[i], rows + lane % 16 * PITCH + i * 16 + lane / 16 * 8);
  }

  __device__ void begin(int query) {
    lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2, first = query;
#pragma unroll
    for (int j = 0; j < DIM / 8; j++) sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0;
    largest[0] = largest[1] = -1e30f;
    total[0] = total[1] = 0;
  }

  // Takes in attention to other keys, of a head, whose scores have the log-sum-exp lse [queries].
  __device__ void start(const T* other, i64 token, const float* lse, int queries) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      int n = first + group + r * 8;
      if (n < queries) {
        largest[r] = lse[n] * 1.44269504f;
        // The four threads of a row add up their totals in the end.
        total[r] = pair == 0 ? 1 : 0;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++) {
          u32 both = *(const u32*)(other + n * token + j * 8 + pair);
          sums[j][2 * r] = widen((T)both);
          sums[j][2 * r + 1] = widen((T)(both >> 16));
        }
      }
    }
  }

  // Attends to a tile in shared memory, of which `left` keys count. Scores are multiplied by scale,
  // so that exp2 of them is exp of the scaled scores; `added` is added then, unless it is null. Keys
  // and values are multiples of their steps [2, KEYS], unless there are none.
  __device__ void tile(const T* keys, const T* values, i64 left, float scale, const float* added,
                       const float* steps = nullptr) {
    float scores[KEYS / 8][4] = {};
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
#pragma unroll
      for (int j = 0; j < KEYS / 16; j++) {
        // Matrices: keys 0-7 and 8-15, channels 0-7 and 8-15 of a 16 x 16 patch.
        u32 b[4];
        load4(b, keys + (j * 16 + lane % 8 + lane / 16 * 8) * PITCH + i * 16 + lane / 8 % 2 * 8);
        multiply(scores[2 * j], query[i], b[0], b[1]);
        multiply(scores[2 * j + 1], query[i], b[2], b[3]);
      }
    }
    float most[2] = {largest[0], largest[1]};
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        int key = j * 8 + pair + c % 2;
        float score = scores[j][c] * scale;
        if (steps) score *= steps[key];
        if (added) score += added[key];
        scores[j][c] = key < left ? score : -1e30f;
        most[c / 2] = fmaxf(most[c / 2], scores[j][c]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 2));
      float shrink = exp2f(largest[r] - most[r]);
      largest[r] = most[r];
      total[r] *= shrink;
#pragma unroll
      for (int j = 0; j < DIM / 8; j++) {
        sums[j][2 * r] *= shrink;
        sums[j][2 * r + 1] *= shrink;
      }
    }
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        scores[j][c] = exp2f(scores[j][c] - largest[c / 2]);
        total[c / 2] += scores[j][c];
        if (steps) scores[j][c] *= steps[KEYS + j * 8 + pair + c % 2];
      }
    }
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++) {
      u32 weights[4] = {
          pack(scores[2 * i][0], scores[2 * i][1]), pack(scores[2 * i][2], scores[2 * i][3]),
          pack(scores[2 * i + 1][0], scores[2 * i + 1][1]),
          pack(scores[2 * i + 1][2], scores[2 * i + 1][3])};
#ifdef EXACT_WEIGHTS
      u32 rests[4] = {
          rest(weights[0], scores[2 * i], 0), rest(weights[1], scores[2 * i], 2),
          rest(weights[2], scores[2 * i + 1], 0), rest(weights[3], scores[2 * i + 1], 2)};
#endif
#pragma unroll
      for (int j = 0; j < DIM / 16; j++) {
        u32 b[4];
        load4Transposed(b, values + (i * 16 + lane % 16) * PITCH + j * 16 + lane / 16 * 8);
        multiply(sums[2 * j], weights, b[0], b[1]);
        multiply(sums[2 * j + 1], weights, b[2], b[3]);
#ifdef EXACT_WEIGHTS
        multiply(sums[2 * j], rests, b[0], b[1]);
        multiply(sums[2 * j + 1], rests, b[2], b[3]);
#endif
      }
    }
  }

  // A tile of keys and values from `start` on, of which `left` are there; entries lie `apart`.
  static __device__ void load(
      const T* k, const T* v, i64 start, i64 left, const i64* slots, T* keys, T* values,
      i64 apart = DIM) {
    for (int i = threadIdx.x; i < KEYS * (DIM / 8); i += 128) {
      int key = i / (DIM / 8), channel = i % (DIM / 8) * 8;
      bool valid = key < left;
      i64 entry = start + (valid ? key : 0);
      if (slots) entry = slots[entry];
      copy16(keys + key * PITCH + channel, k + entry * apart + channel, valid);
      copy16(values + key * PITCH + channel, v + entry * apart + channel, valid);
    }
    asm volatile("cp.async.wait_all;");
  }

  // Keys and values of one head: so far `apart`, or at slots. What is `added` to their scores, in
  // units of the logarithm to base 2, comes to `here`, unless it is null; little ends them.
  __device__ void dense(
      const T* k, const T* v, i64 count, float scale, T* keys, T* values, const i64* slots,
      const float* added, float* here, i64 apart = DIM) {
    for (i64 start = 0; start < count && !(added && added[start] < -1e29f); start += KEYS) {
      i64 left = count - start;
      __syncthreads();
      if (added && threadIdx.x < KEYS && threadIdx.x < left)
        here[threadIdx.x] = added[start + threadIdx.x];
      load(k, v, start, left, slots, keys, values, apart);
      __syncthreads();
      tile(keys, values, left, scale, added ? here : nullptr);
    }
  }

  // As write, by 16 rows of a warp in shared memory, so that whole rows are written at once.
  __device__ void writeBy(T* rows, T* out, int row, int head, int heads, int queries) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      total[r] += __shfl_xor_sync(~0u, total[r], 1);
      total[r] += __shfl_xor_sync(~0u, total[r], 2);
      float inverse = total[r] > 0 ? 1 / total[r] : 0;
#pragma unroll
      for (int j = 0; j < DIM / 8; j++)
        *(u32*)(rows + (group + r * 8) * PITCH + j * 8 + pair) =
            pack(sums[j][2 * r] * inverse, sums[j][2 * r + 1] * inverse);
    }
    __syncwarp();
    T* to = out + (((i64)row * queries + first) * heads + head) * DIM;
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
      int n = (i * 32 + lane) / (DIM / 8), channel = (i * 32 + lane) % (DIM / 8) * 8;
      if (first + n < queries)
        *(uint4*)(to + (i64)n * heads * DIM + channel) = *(const uint4*)(rows + n * PITCH + channel);
    }
  }

  // out [rows, queries, heads, DIM], lse [rows, heads, queries] or null.
  __device__ void write(T* out, float* lse, int row, int head, int heads, int queries) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      total[r] += __shfl_xor_sync(~0u, total[r], 1);
      total[r] += __shfl_xor_sync(~0u, total[r], 2);
      int token = first + group + r * 8;
      if (token < queries) {
        T* to = out + (((i64)row * queries + token) * heads + head) * DIM + pair;
        if (lse && pair == 0)
          lse[((i64)row * heads + head) * queries + token] =
              (largest[r] + log2f(total[r])) * 0.69314718f;
        // A head may have no keys: its output is 0, its log-sum-exp minus infinity.
        float inverse = total[r] > 0 ? 1 / total[r] : 0;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++)
          *(u32*)(to + j * 8) = pack(sums[j][2 * r] * inverse, sums[j][2 * r + 1] * inverse);
      }
    }
  }
};
