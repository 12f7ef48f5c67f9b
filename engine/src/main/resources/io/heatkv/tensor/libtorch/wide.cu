// Attention for many queries to tiles of decoded entries, on the tensor cores of Hopper.
//
// Compiled at run time for sm_90a, after stored.cu, with ELEMENT 1 or 2 and DIM 128. A block takes
// parts of 128 queries of a head one after another, 64 in each of two warpgroups; a third copies
// tiles of 128 keys and values to shared memory, two ahead, and the next part's queries. While one
// warpgroup multiplies, the other computes weights, and while values are weighed, the scores of the
// next keys, also those of the next part: see FlashAttention-3 (arXiv 2407.08608).

#define TILE 128
#define TILE_BYTES (TILE * DIM * 2)
#define QUERIES 128
#define QUERY_BYTES (QUERIES * DIM * 2)
#define STAGES 2
#define CONSUMERS 256
#define LOADERS 96

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
static __device__ void copyUnit(u32 to, const T* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
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

// Two rows of scores in a thread: the largest so far, before scaling, and the sum of weights, which
// are relative to it.
struct Softmax {
  float largest[2], total[2];

  // Scores to weights, as exp2 of scaled scores. The sum counts each by its entry's tokens; values
  // are multiplied by them already. shrink is what earlier sums are multiplied by.
  __device__ void weigh(float* s, const float* counts, float scale, float* shrink) {
    float most[2] = {largest[0], largest[1]}, offset[2];
#pragma unroll
    for (int i = 0; i < TILE / 2; i++) most[i / 2 % 2] = fmaxf(most[i / 2 % 2], s[i]);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 2));
      shrink[r] = exp2f((largest[r] - most[r]) * scale);
      largest[r] = most[r];
      offset[r] = -most[r] * scale;
      total[r] *= shrink[r];
    }
#pragma unroll
    for (int j = 0; j < TILE / 8; j++) {
      float2 count = *(const float2*)(counts + j * 8);
#pragma unroll
      for (int c = 0; c < 4; c++) {
        float x = fmaf(s[4 * j + c], scale, offset[c / 2]);
        asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
        s[4 * j + c] = x;
        total[c / 2] = fmaf(x, c % 2 ? count.y : count.x, total[c / 2]);
      }
    }
  }
};

static __device__ void packAll(const float* s, u32* weights) {
#pragma unroll
  for (int i = 0; i < TILE / 4; i++) weights[i] = pack(s[2 * i], s[2 * i + 1]);
}

// Turns 4 words of each of 4 neighbouring lanes around: a lane of a tensor core has pairs of
// channels, memory is read and written by 8 that lie together. Words are chosen by bytes since the
// compiler makes branches of conditions, with a shuffle in each.
static __device__ void transpose(u32* w, int lane) {
#pragma unroll
  for (int bit = 1; bit < 4; bit *= 2) {
    u32 first = 0x3210 + 0x4444 * (lane / bit & 1), second = first ^ 0x4444;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i & bit) continue;
      u32 low = w[i], high = w[i + bit];
      u32 there = __shfl_xor_sync(~0u, __byte_perm(low, high, second), bit);
      w[i] = __byte_perm(low, there, first);
      w[i + bit] = __byte_perm(high, there, second);
    }
  }
}

// Queries of a row's head that a block attends with; none if the head is -1.
struct Part {
  int row, head, first, length;
  i64 token;
};

// Parts of all heads and rows, those of heads with most entries first. Blocks take them in turns,
// each in the other direction than the turn before.
struct Parts {
  Step step;
  int rows, across, count;

  __device__ Parts(const int* table, int queries, int heads, int rows)
      : step{table, heads}, rows(rows), across((queries + QUERIES - 1) / QUERIES),
        count(across * rows * heads) {}

  __device__ Part at(int turn) const {
    int blocks = gridDim.x, block = blockIdx.x;
    int i = turn * blocks + (turn % 2 ? blocks - 1 - block : block);
    if (i >= count) return {0, -1};
    int head = step.headOrder()[i / across / rows], first = step.tileEnds()[head];
    return {i / across % rows, head, first, step.tileEnds()[head + 1] - first,
            (i64)(i % across) * QUERIES};
  }

  // The next part with tiles: those without come last.
  __device__ bool next(int turn, Part& part) const {
    part = at(turn);
    return part.head >= 0 && part.length > 0;
  }
};

// Attention to other keys, with the log-sum-exp lse [rows, heads, queries] of its scores, and where
// the result goes [rows, queries, heads, DIM].
struct Others {
  const T* at;
  i64 row, head, token;
  const float* lse;
  T* out;
  int queries, heads;

  __device__ const T* of(const Part& part) const {
    return at + part.row * row + part.head * head + part.token * token;
  }

  __device__ T* to(const Part& part, i64 query) const {
    i64 first = (i64)part.row * queries + part.token;
    return out + ((first + query) * heads + part.head) * DIM;
  }

  // Joins them with sums of weighted values, of two rows of a thread, and writes the result.
  __device__ void join(const Part& part, float* sums, const Softmax& softmax, float scale) const {
    int lane = threadIdx.x % 32;
    const float* sequence = lse + ((i64)part.row * heads + part.head) * queries + part.token;
#pragma unroll
    for (int r = 0; r < 2; r++) {
      int query = threadIdx.x / 32 * 16 + r * 8 + lane / 4;
      bool valid = part.token + query < queries;
      int known = valid ? query : 0;
      u32 words[DIM / 8];
#pragma unroll
      for (int i = 0; i < 4; i++)
        *(uint4*)(words + 4 * i) =
            *(const uint4*)(of(part) + known * token + (4 * i + lane % 4) * 8);
      float total = softmax.total[r];
      total += __shfl_xor_sync(~0u, total, 1);
      total += __shfl_xor_sync(~0u, total, 2);
      // Weights of both, against the larger of the two.
      float largest = softmax.largest[r] * scale + MOST_TOKENS_LOG;
      float theirs = sequence[known] * 1.44269504f, most = fmaxf(theirs, largest);
      float ours = exp2f(largest - most);
      theirs = exp2f(theirs - most);
      float inverse = 1 / (ours * total + theirs);
      ours *= inverse;
      theirs *= inverse;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        u32* w = words + 4 * i;
        transpose(w, lane);
#pragma unroll
        for (int j = 0; j < 4; j++) {
          const float* own = sums + 16 * i + 4 * j + 2 * r;
          w[j] = pack(own[0] * ours + widen((T)w[j]) * theirs,
                      own[1] * ours + widen((T)(w[j] >> 16)) * theirs);
        }
        transpose(w, lane);
        if (valid)
          *(uint4*)(to(part, query) + (4 * i + lane % 4) * 8) = make_uint4(w[0], w[1], w[2], w[3]);
      }
    }
  }
};

// tiles [rows, 2, count, 128, 128], values times what their entries count, and that [count, 128]:
// shares of MOST_TOKENS, so that values stay in float16's range, see decode_tiles. The result is
// joined with attention to other keys. Grid: any number of blocks.
extern "C" __global__ void __launch_bounds__(CONSUMERS + 128, 1) attend_tiles(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, int queries, int heads, float scale,
    const T* tiles, const float* counts, int count, const int* table, const T* other, i64 otherRow,
    i64 otherHead, i64 otherToken, const float* lse, int rows) {
  awaitEarlier();
  extern __shared__ char memory[];
  u32 start = (u32)__cvta_generic_to_shared(memory), queryTiles = (start + 1023) & ~1023u;
  u32 keys = queryTiles + 2 * QUERY_BYTES, values = keys + STAGES * TILE_BYTES;
  u32 countsHere = values + STAGES * TILE_BYTES, barriers = countsHere + STAGES * TILE * 4;
  u32 fullKeys = barriers, fullValues = barriers + 16, freeKeys = barriers + 32,
      freeValues = barriers + 48, fullQueries = barriers + 64, freeQueries = barriers + 80;
  Parts parts(table, queries, heads, rows);
  Others others = {other, otherRow, otherHead, otherToken, lse, out, queries, heads};
  Part part;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      init(fullKeys + 8 * i, 1);
      init(fullValues + 8 * i, 1);
      init(freeKeys + 8 * i, CONSUMERS / 32);
      init(freeValues + 8 * i, CONSUMERS / 32);
      init(fullQueries + 8 * i, LOADERS);
      init(freeQueries + 8 * i, CONSUMERS / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  // Registers go from the warpgroup that copies to those that compute.
  if (threadIdx.x >= CONSUMERS) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 56;");
    if (threadIdx.x == CONSUMERS) {
      for (int turn = 0, n = 0; parts.next(turn, part); turn++) {
        const char* k =
            (const char*)tiles + ((i64)part.row * 2 * count + part.first) * TILE_BYTES;
        const char* v = k + (i64)count * TILE_BYTES;
        for (int t = 0; t < part.length; t++, n++) {
          int stage = n % STAGES;
          u32 parity = n / STAGES % 2 ^ 1;
          await(freeKeys + 8 * stage, parity);
          expect(fullKeys + 8 * stage, TILE_BYTES + TILE * 4);
          copy(keys + stage * TILE_BYTES, k + (i64)t * TILE_BYTES, TILE_BYTES,
               fullKeys + 8 * stage);
          copy(countsHere + stage * TILE * 4, counts + (i64)(part.first + t) * TILE, TILE * 4,
               fullKeys + 8 * stage);
          await(freeValues + 8 * stage, parity);
          expect(fullValues + 8 * stage, TILE_BYTES);
          copy(values + stage * TILE_BYTES, v + (i64)t * TILE_BYTES, TILE_BYTES,
               fullValues + 8 * stage);
        }
      }
    } else if (threadIdx.x >= CONSUMERS + 32) {
      int thread = threadIdx.x - CONSUMERS - 32;
      for (int turn = 0; parts.next(turn, part); turn++) {
        int buffer = turn % 2;
        await(freeQueries + 8 * buffer, turn / 2 % 2 ^ 1);
        const T* from = q + part.row * qRow + part.head * qHead;
        for (int i = thread; i < QUERIES * LANES; i += LOADERS) {
          int n = i / LANES, unit = i % LANES;
          bool valid = part.token + n < queries;
          copyUnit(queryTiles + buffer * QUERY_BYTES + unit / 8 * (QUERIES * 128) + n * 128 +
                       ((unit % 8) ^ (n % 8)) * 16,
                   from + (valid ? part.token + n : 0) * qToken + unit * 8, valid);
        }
        asm volatile("cp.async.wait_all;" ::: "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        arrive(fullQueries + 8 * buffer);
        // What the end needs comes nearer meanwhile.
        for (int i = thread; i < 2 * QUERIES; i += LOADERS)
          if (part.token + i / 2 < queries)
            asm volatile("prefetch.global.L2 [%0];"
                         ::"l"(others.of(part) + i / 2 * otherToken + i % 2 * 64));
      }
    }
    return;
  }
  asm volatile("setmaxnreg.inc.sync.aligned.u32 224;");
  int lane = threadIdx.x % 32, group = threadIdx.x / 128, turn = 0;
  const float* countsAt = (const float*)(memory + (countsHere - start)) + lane % 4 * 2;
  scale *= 1.44269504f;
  // The warpgroups take turns in multiplying.
  if (group == 1) asm volatile("bar.arrive 3, 256;" ::: "memory");
  if (parts.next(0, part)) {
    const Softmax nothing = {{-1e30f, -1e30f}, {0, 0}};
    Softmax softmax = nothing;
    float sums[64], s[64], shrink[2];
    u32 weights[TILE / 4], query = queryTiles + group * 64 * 128;
#pragma unroll
    for (int i = 0; i < 64; i++) sums[i] = 0;
    await(fullQueries, 0);
    await(fullKeys, 0);
    scores(s, query, keys);
    finish<0>(s);
    softmax.weigh(s, countsAt, scale, shrink);
    __syncwarp();
    if (lane == 0) arrive(freeKeys);
    packAll(s, weights);
    int n = 1;
    for (int t = 1;; t++, n++) {
      int stage = n % STAGES, before = (n - 1) % STAGES;
      bool begins = t == part.length;
      if (begins) {
        if (!parts.next(++turn, part)) break;
        t = 0;
        query = queryTiles + turn % 2 * QUERY_BYTES + group * 64 * 128;
        await(fullQueries + 8 * (turn % 2), turn / 2 % 2);
      }
      await(fullKeys + 8 * stage, n / STAGES % 2);
      asm volatile("bar.sync %0, 256;" ::"r"(3 + group) : "memory");
      scores(s, query, keys + stage * TILE_BYTES);
      await(fullValues + 8 * before, (n - 1) / STAGES % 2);
      outputs(sums, weights, values + before * TILE_BYTES);
      asm volatile("bar.arrive %0, 256;" ::"r"(4 - group) : "memory");
      finish<1>(s);
      Softmax earlier = softmax;
      if (begins) softmax = nothing;
      softmax.weigh(s, countsAt + stage * TILE, scale, shrink);
      __syncwarp();
      if (lane == 0) arrive(freeKeys + 8 * stage);
      finish<0>(sums);
      if (lane == 0) arrive(freeValues + 8 * before);
      if (begins) {
        if (lane == 0) arrive(freeQueries + 8 * ((turn - 1) % 2));
        others.join(parts.at(turn - 1), sums, earlier, scale);
#pragma unroll
        for (int i = 0; i < 64; i++) sums[i] = 0;
      }
#pragma unroll
      for (int i = 0; i < 64; i++) sums[i] *= shrink[i / 2 % 2];
      packAll(s, weights);
    }
    int last = (n - 1) % STAGES;
    await(fullValues + 8 * last, (n - 1) / STAGES % 2);
    outputs(sums, weights, values + last * TILE_BYTES);
    finish<0>(sums);
    others.join(parts.at(turn - 1), sums, softmax, scale);
  }
  // Heads without entries.
  for (; (part = parts.at(turn)).head >= 0; turn++)
    for (int i = threadIdx.x; i < QUERIES * LANES; i += CONSUMERS)
      if (part.token + i / LANES < queries)
        *(uint4*)(others.to(part, i / LANES) + i % LANES * 8) =
            *(const uint4*)(others.of(part) + i / LANES * otherToken + i % LANES * 8);
}
