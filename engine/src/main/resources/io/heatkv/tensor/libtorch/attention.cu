// Attention for few queries: one launch over two sets of keys, read where they lie.
//
// Compiled at run time with ELEMENT 1 (float16) or 2 (bfloat16) and DIM, the head's channels
// (a multiple of 16, at most 128); with COUNTS, where entries of the first set stand for several
// tokens. A block holds 64 queries of one head, 16 in each of its 4 warps,
// and goes through the keys in tiles of 64 with an online softmax; products run on tensor cores.

typedef long long i64;
typedef unsigned int u32;
typedef unsigned short T;

#define KEYS 64
#define PITCH (DIM + 8)

#if ELEMENT == 1
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#define PACK "cvt.rn.f16x2.f32 "
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#define PACK "cvt.rn.bf16x2.f32 "
#endif

static __device__ void multiply(float* c, const u32* a, u32 b0, u32 b1) {
  asm volatile(MMA "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ u32 pack(float low, float high) {
  u32 both;
  asm(PACK "%0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
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

// Two sets of keys and values: rows and heads lie rowStride and headStride elements apart. With
// ends, a head's first set is the entries from ends[head] to ends[head + 1] of its row; with slots,
// entry i is at slots[i]. With COUNTS, logs[i] is added to the scaled scores of entry i of the first
// set.
// out [rows, queries, heads, DIM], lse [rows, heads, queries] or null; q with the given strides.
// Grid: tiles of queries x rows * heads.
extern "C" __global__ void __launch_bounds__(128) attend(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, float* lse, int queries, int heads,
    float scale, const T* k1, const T* v1, i64 rowStride1, i64 headStride1, i64 count1,
    const i64* slots, const int* ends, const float* logs, const T* k2, const T* v2, i64 rowStride2, i64 headStride2,
    i64 count2) {
  __shared__ alignas(16) T keys[KEYS * PITCH];
  __shared__ alignas(16) T values[KEYS * PITCH];
#ifdef COUNTS
  __shared__ float added[KEYS];
#endif
  int lane = threadIdx.x % 32;
  int group = lane / 4, pair = lane % 4 * 2;
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  int first = blockIdx.x * 64 + threadIdx.x / 32 * 16;
  i64 base1 = ends ? ends[head] : 0;
  if (ends) count1 = ends[head + 1] - base1;
  i64 offset1 = row * rowStride1 + head * headStride1;
  i64 offset2 = row * rowStride2 + head * headStride2;

  // Queries stay in registers, as the left operand of the first product.
  u32 query[DIM / 16][4];
  q += row * qRow + head * qHead;
#pragma unroll
  for (int i = 0; i < DIM / 16; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int token = first + group + j % 2 * 8;
      int channel = i * 16 + pair + j / 2 * 8;
      query[i][j] = token < queries ? *(const u32*)(q + token * qToken + channel) : 0;
    }
  }
  float sums[DIM / 8][4] = {};
  float largest[2] = {-1e30f, -1e30f}, total[2] = {0, 0};
  // exp2 of scores in these units is exp of the scaled scores.
  scale *= 1.44269504f;

  i64 tiles1 = (count1 + KEYS - 1) / KEYS;
  i64 tiles = tiles1 + (count2 + KEYS - 1) / KEYS;
  for (i64 tile = 0; tile < tiles; tile++) {
    bool earlier = tile < tiles1;
    i64 start = (earlier ? tile : tile - tiles1) * KEYS;
    i64 left = (earlier ? count1 : count2) - start;
    const T* k = earlier ? k1 + offset1 : k2 + offset2;
    const T* v = earlier ? v1 + offset1 : v2 + offset2;
    __syncthreads();
    for (int i = threadIdx.x; i < KEYS * (DIM / 8); i += 128) {
      int key = i / (DIM / 8), channel = i % (DIM / 8) * 8;
      bool valid = key < left;
      i64 entry = (earlier ? base1 : 0) + start + (valid ? key : 0);
      if (earlier && slots) entry = slots[entry];
      copy16(keys + key * PITCH + channel, k + entry * DIM + channel, valid);
      copy16(values + key * PITCH + channel, v + entry * DIM + channel, valid);
    }
#ifdef COUNTS
    for (int i = threadIdx.x; i < KEYS; i += 128)
      added[i] = earlier && i < left ? logs[base1 + start + i] * 1.44269504f : 0;
#endif
    asm volatile("cp.async.wait_all;");
    __syncthreads();

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
        scores[j][c] = key < left ? scores[j][c] * scale : -1e30f;
#ifdef COUNTS
        scores[j][c] += added[key];
#endif
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
      }
    }
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++) {
      u32 weights[4] = {
          pack(scores[2 * i][0], scores[2 * i][1]), pack(scores[2 * i][2], scores[2 * i][3]),
          pack(scores[2 * i + 1][0], scores[2 * i + 1][1]),
          pack(scores[2 * i + 1][2], scores[2 * i + 1][3])};
#pragma unroll
      for (int j = 0; j < DIM / 16; j++) {
        u32 b[4];
        load4Transposed(
            b, values + (i * 16 + lane % 16) * PITCH + j * 16 + lane / 16 * 8);
        multiply(sums[2 * j], weights, b[0], b[1]);
        multiply(sums[2 * j + 1], weights, b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    total[r] += __shfl_xor_sync(~0u, total[r], 1);
    total[r] += __shfl_xor_sync(~0u, total[r], 2);
    int token = first + group + r * 8;
    if (token < queries) {
      T* to = out + (((i64)row * queries + token) * heads + head) * DIM + pair;
      if (lse && pair == 0)
        lse[(i64)blockIdx.y * queries + token] = (largest[r] + log2f(total[r])) * 0.69314718f;
      // A head may have no keys: its output is 0, its log-sum-exp minus infinity.
      float inverse = total[r] > 0 ? 1 / total[r] : 0;
#pragma unroll
      for (int j = 0; j < DIM / 8; j++)
        *(u32*)(to + j * 8) = pack(sums[j][2 * r] * inverse, sums[j][2 * r + 1] * inverse);
    }
  }
}
