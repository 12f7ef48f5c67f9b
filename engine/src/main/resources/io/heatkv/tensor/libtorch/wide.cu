// Attention for many queries to tiles of decoded entries, on the tensor cores of Hopper.
//
// Compiled at run time for sm_90a, after stored.cu, with ELEMENT 1 or 2 and DIM 128. A block holds
// 128 queries of one head, 64 in each of two warpgroups, and a third copies tiles of 128 keys and
// values to shared memory, two ahead. While one warpgroup multiplies, the other computes weights, and
// while values are weighed, the scores of the next keys: see FlashAttention-3 (arXiv 2407.08608).

#define TILE 128
#define TILE_BYTES (TILE * DIM * 2)
#define QUERIES 128
#define STAGES 2
#define CONSUMERS 256

#if ELEMENT == 1
#define TYPES "f32.f16.f16 "
#else
#define TYPES "f32.bf16.bf16 "
#endif

// Barriers of shared memory.
static __device__ void init(u32 barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
static __device__ void expect(u32 barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
static __device__ void arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
static __device__ void await(u32 barrier, u32 parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra.uni ready;\n"
      "bra.uni again;\n"
      "ready:\n"
      "}" ::"r"(barrier), "r"(parity) : "memory");
}
static __device__ void copy(u32 to, const void* from, int bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
      ::"r"(to), "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

// Rows of 64 channels, 128 bytes with their units of 16 swizzled, in groups of 8 rows; `leading` is
// the distance of the channels from 64 on where they are the columns of a product.
static __device__ u64 matrix(u32 at, u32 leading) {
  return (u64)(at >> 4 & 0x3fff) | (u64)(leading >> 4) << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

#define A4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define A16(d, i) A4(d, i), A4(d, i + 4), A4(d, i + 8), A4(d, i + 12)
#define A64(d) A16(d, 0), A16(d, 16), A16(d, 32), A16(d, 48)
#define SUMS                                                                                \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23," \
  "%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,"    \
  "%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}"
#define PRODUCT "wgmma.mma_async.sync.aligned.m64n128k16." TYPES SUMS

// sums [64, 128] (+)= a b of 16 channels, both in shared memory.
static __device__ void multiply(float* sums, u64 a, u64 b, int add) {
  asm volatile("{.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n" PRODUCT
               ", %64, %65, add, 1, 1, 0, 0;}"
               : A64(sums) : "l"(a), "l"(b), "r"(add));
}

// sums [64, 128] += a b of 16 keys, a in registers, b with channels in rows.
static __device__ void multiplyAdd(float* sums, const u32* a, u64 b) {
  asm volatile(PRODUCT ", {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
               : A64(sums) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

static __device__ void fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
static __device__ void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// The sums of all products but the last `left` groups are there afterwards.
template <int left> static __device__ void finish(float* sums) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : A64(sums) : "n"(left) : "memory");
}

static __device__ void scores(float* sums, u32 queries, u32 keys) {
  fence();
#pragma unroll
  for (int i = 0; i < DIM / 16; i++) {
    int at = i % 4 * 32;
    multiply(sums, matrix(queries + i / 4 * (QUERIES * 128) + at, 16),
             matrix(keys + i / 4 * (TILE * 128) + at, 16), i > 0);
  }
  commit();
}

static __device__ void outputs(float* sums, const u32* weights, u32 values) {
  fence();
#pragma unroll
  for (int i = 0; i < TILE / 16; i++)
    multiplyAdd(sums, weights + 4 * i, matrix(values + i * 16 * 128, TILE * 128));
  commit();
}

// Two rows of scores in a thread: their largest and the sum of weights so far.
struct Softmax {
  float largest[2], total[2];

  // Scores in units of the logarithm to base 2, with what counts add, to weights; shrink is what
  // earlier sums are multiplied by.
  __device__ void weigh(float* s, const float* added, float scale, float* shrink) {
    float most[2] = {largest[0], largest[1]};
#pragma unroll
    for (int j = 0; j < TILE / 8; j++) {
      float2 b = *(const float2*)(added + j * 8);
#pragma unroll
      for (int c = 0; c < 4; c++) {
        s[4 * j + c] = fmaf(s[4 * j + c], scale, c % 2 ? b.y : b.x);
        most[c / 2] = fmaxf(most[c / 2], s[4 * j + c]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 2));
      shrink[r] = exp2f(largest[r] - most[r]);
      largest[r] = most[r];
      total[r] *= shrink[r];
    }
#pragma unroll
    for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        float x;
        asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(x) : "f"(s[4 * j + c] - largest[c / 2]));
        s[4 * j + c] = x;
        total[c / 2] += x;
      }
    }
  }
};

static __device__ void packAll(const float* s, u32* weights) {
#pragma unroll
  for (int i = 0; i < TILE / 4; i++) weights[i] = pack(s[2 * i], s[2 * i + 1]);
}

// tiles [rows, 2, count, 128, 128] and what is added to scores [count, 128], see decode_tiles. The
// result is joined with attention to other keys, `other` with the given strides, whose scores have
// the log-sum-exp lse [rows, heads, queries]. out [rows, queries, heads, 128].
// Grid: tiles of queries x rows * heads.
extern "C" __global__ void __launch_bounds__(CONSUMERS + 128, 1) attend_tiles(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, int queries, int heads, float scale,
    const T* tiles, const float* added, int count, const int* table, const T* other, i64 otherRow,
    i64 otherHead, i64 otherToken, const float* lse) {
  extern __shared__ char memory[];
  u32 start = (u32)__cvta_generic_to_shared(memory), query = (start + 1023) & ~1023u;
  u32 keys = query + QUERIES * DIM * 2, values = keys + STAGES * TILE_BYTES;
  u32 counts = values + STAGES * TILE_BYTES, barriers = counts + STAGES * TILE * 4;
  u32 fullKeys = barriers, fullValues = barriers + 16, freeKeys = barriers + 32,
      freeValues = barriers + 48;
  // Heads with most entries come first.
  Step step = {table, heads};
  int rows = gridDim.y / heads;
  int head = step.headOrder()[blockIdx.y / rows], row = blockIdx.y % rows;
  int first = step.tileEnds()[head], length = step.tileEnds()[head + 1] - first;
  i64 token = (i64)blockIdx.x * QUERIES;
  other += row * otherRow + head * otherHead;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      init(fullKeys + 8 * i, 1);
      init(fullValues + 8 * i, 1);
      init(freeKeys + 8 * i, CONSUMERS / 32);
      init(freeValues + 8 * i, CONSUMERS / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // Registers go from the warpgroup that copies to those that compute.
  if (threadIdx.x >= CONSUMERS) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == CONSUMERS) {
      const char* k = (const char*)tiles + ((i64)row * 2 * count + first) * TILE_BYTES;
      const char* v = k + (i64)count * TILE_BYTES;
      for (int t = 0; t < length; t++) {
        int stage = t % STAGES;
        u32 parity = t / STAGES % 2 ^ 1;
        await(freeKeys + 8 * stage, parity);
        expect(fullKeys + 8 * stage, TILE_BYTES + TILE * 4);
        copy(keys + stage * TILE_BYTES, k + (i64)t * TILE_BYTES, TILE_BYTES, fullKeys + 8 * stage);
        copy(counts + stage * TILE * 4, added + (i64)(first + t) * TILE, TILE * 4,
             fullKeys + 8 * stage);
        await(freeValues + 8 * stage, parity);
        expect(fullValues + 8 * stage, TILE_BYTES);
        copy(values + stage * TILE_BYTES, v + (i64)t * TILE_BYTES, TILE_BYTES,
             fullValues + 8 * stage);
      }
    } else if (threadIdx.x >= CONSUMERS + 32) {
      // What the end needs comes nearer meanwhile.
      for (int i = threadIdx.x - CONSUMERS - 32; i < 2 * QUERIES; i += 96)
        if (token + i / 2 < queries)
          asm volatile("prefetch.global.L2 [%0];"
                       ::"l"(other + (token + i / 2) * otherToken + i % 2 * 64));
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    int lane = threadIdx.x % 32, group = threadIdx.x / 128;
    q += row * qRow + head * qHead;
    uint4 units[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      int n = group * 64 + threadIdx.x % 128 / LANES + i * 8;
      units[i] = make_uint4(0, 0, 0, 0);
      if (token + n < queries)
        units[i] = *(const uint4*)(q + (token + n) * qToken + threadIdx.x % LANES * 8);
    }
    float theirs[2];
    i64 tokens[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      tokens[r] = token + threadIdx.x / 32 * 16 + r * 8 + lane / 4;
      i64 last = tokens[r] < queries ? tokens[r] : queries - 1;
      theirs[r] = lse[((i64)row * heads + head) * queries + last];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      int n = group * 64 + threadIdx.x % 128 / LANES + i * 8, unit = threadIdx.x % LANES;
      u32 to = query + unit / 8 * (QUERIES * 128) + n * 128 + ((unit % 8) ^ (n % 8)) * 16;
      asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};"
                   ::"r"(to), "r"(units[i].x), "r"(units[i].y), "r"(units[i].z), "r"(units[i].w)
                   : "memory");
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
    query += group * 64 * 128;
    const float* addedAt = (const float*)(memory + (counts - start)) + lane % 4 * 2;
    scale *= 1.44269504f;

    float sums[64], s[64], shrink[2];
    u32 weights[TILE / 4], others[2][DIM / 8];
    Softmax softmax = {{-1e30f, -1e30f}, {0, 0}};
#pragma unroll
    for (int i = 0; i < 64; i++) sums[i] = 0;
    // The warpgroups take turns in multiplying.
    if (group == 1) asm volatile("bar.arrive 3, 256;" ::: "memory");
    if (length > 0) {
      await(fullKeys, 0);
      scores(s, query, keys);
      finish<0>(s);
      softmax.weigh(s, addedAt, scale, shrink);
      if (lane == 0) arrive(freeKeys);
      packAll(s, weights);
      for (int t = 1; t < length; t++) {
        int stage = t % STAGES, before = (t - 1) % STAGES;
        await(fullKeys + 8 * stage, t / STAGES % 2);
        asm volatile("bar.sync %0, 256;" ::"r"(3 + group) : "memory");
        scores(s, query, keys + stage * TILE_BYTES);
        await(fullValues + 8 * before, (t - 1) / STAGES % 2);
        outputs(sums, weights, values + before * TILE_BYTES);
        asm volatile("bar.arrive %0, 256;" ::"r"(4 - group) : "memory");
        finish<1>(s);
        softmax.weigh(s, addedAt + stage * TILE, scale, shrink);
        if (lane == 0) arrive(freeKeys + 8 * stage);
        finish<0>(sums);
        if (lane == 0) arrive(freeValues + 8 * before);
#pragma unroll
        for (int i = 0; i < 64; i++) sums[i] *= shrink[i / 2 % 2];
        packAll(s, weights);
      }
      int stage = (length - 1) % STAGES;
      await(fullValues + 8 * stage, (length - 1) / STAGES % 2);
      outputs(sums, weights, values + stage * TILE_BYTES);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      i64 last = tokens[r] < queries ? tokens[r] : queries - 1;
#pragma unroll
      for (int j = 0; j < DIM / 8; j++)
        others[r][j] = *(const u32*)(other + last * otherToken + lane % 4 * 2 + j * 8);
    }
    finish<0>(sums);

#pragma unroll
    for (int r = 0; r < 2; r++) {
      float total = softmax.total[r];
      total += __shfl_xor_sync(~0u, total, 1);
      total += __shfl_xor_sync(~0u, total, 2);
      // Weights of both parts, against the larger of the two.
      float their = theirs[r] * 1.44269504f, most = fmaxf(their, softmax.largest[r]);
      float our = exp2f(softmax.largest[r] - most);
      their = exp2f(their - most);
      float inverse = 1 / (our * total + their);
      our *= inverse;
      their *= inverse;
      if (tokens[r] < queries) {
        T* to = out + (((i64)row * queries + tokens[r]) * heads + head) * DIM + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++)
          *(u32*)(to + j * 8) =
              pack(sums[4 * j + 2 * r] * our + widen((T)others[r][j]) * their,
                   sums[4 * j + 2 * r + 1] * our + widen((T)(others[r][j] >> 16)) * their);
      }
    }
  }
}
