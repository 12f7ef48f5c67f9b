// Column sums of attention: how much all queries of a head pay to each key. No score lies in memory.
//
// Compiled at run time, after stored.cu and tile.cu. A block holds 128 rows of one head in registers,
// 32 in each of its 4 warps, and goes through tiles of 64 columns, the next of which is copied to
// shared memory meanwhile. Rows are queries for the log-sum-exps, keys for the sums.

#define ROWS 128
#define LOG2_E 1.44269504f
#define LN_2 0.69314718f

// Entries of a head: `before` of them one after another from `early` on, the others from `late` on, so
// far apart.
struct Entries {
  const T* early;
  const T* late;
  int before, count;
  i64 apart;

  __device__ const T* at(int i) const {
    return i < before ? early + (i64)i * DIM : late + (i - before) * apart;
  }
};

static __device__ float exp2Of(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// What all threads that share a row have.
static __device__ float ofRow(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

// Two times 16 rows of a warp and their scores. A thread's scores [m][j][c] are of row
// first + 16 m + group + c / 2 * 8 and column 8 j + pair + c % 2.
struct Rows {
  u32 row[2][DIM / 16][4];
  float scores[2][KEYS / 8][4];
  int lane, group, pair, first;

  __device__ Rows(const Entries& entries, int block) {
    lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2;
    first = block * ROWS + threadIdx.x / 32 * 32;
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
      for (int j = 0; j < 2; j++) {
        int n = first + m * 16 + group + j * 8;
        const T* from = entries.at(n < entries.count ? n : 0) + pair;
#pragma unroll
        for (int i = 0; i < DIM / 16; i++) {
          row[m][i][j] = n < entries.count ? *(const u32*)(from + i * 16) : 0;
          row[m][i][j + 2] = n < entries.count ? *(const u32*)(from + i * 16 + 8) : 0;
        }
      }
    }
  }

  // Scores of a tile of columns in shared memory.
  __device__ void score(const T* columns) {
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++)
        scores[m][j][0] = scores[m][j][1] = scores[m][j][2] = scores[m][j][3] = 0;
    }
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
#pragma unroll
      for (int j = 0; j < KEYS / 16; j++) {
        // Matrices: columns 0-7 and 8-15, channels 0-7 and 8-15 of a 16 x 16 patch.
        u32 b[4];
        load4(b, columns + (j * 16 + lane % 8 + lane / 16 * 8) * PITCH + i * 16 + lane / 8 % 2 * 8);
#pragma unroll
        for (int m = 0; m < 2; m++) {
          multiply(scores[m][2 * j], row[m][i], b[0], b[1]);
          multiply(scores[m][2 * j + 1], row[m][i], b[2], b[3]);
        }
      }
    }
  }

  // Columns behind the first `left` have no weight.
  __device__ void keep(int left) {
    if (left >= KEYS) return;
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
        for (int c = 0; c < 4; c++)
          if (j * 8 + pair + c % 2 >= left) scores[m][j][c] = -1e30f;
      }
    }
  }
};

// Begins to copy the tile of columns from `start` on, if there is one.
static __device__ void begin(const Entries& columns, int start, T* tile) {
  for (int i = threadIdx.x; i < KEYS * LANES && start < columns.count; i += 128) {
    int n = i / LANES, channel = i % LANES * 8;
    bool valid = start + n < columns.count;
    copy16(tile + n * PITCH + channel, columns.at(valid ? start + n : 0) + channel, valid);
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// All copies but the newest are there, of all threads.
static __device__ void awaitTile() {
  asm volatile("cp.async.wait_group 1;" ::: "memory");
  __syncthreads();
}

// The log-sum-exp of each query's scores over the keys of a part: lse [parts, rows * heads, queries].
// Keys are count1 earlier and count2 current ones: rows and heads lie rowStride and headStride elements
// apart, current entries tokenStride2.
// Grid: parts of the keys x tiles of queries, then rows * heads.
extern "C" __global__ void __launch_bounds__(128, 3) query_sums(
    const T* q, i64 qRow, i64 qHead, i64 qToken, int queries, int heads, const T* k1, i64 rowStride1,
    i64 headStride1, int count1, const T* k2, i64 rowStride2, i64 headStride2, i64 tokenStride2,
    int count2, int parts, float* lse) {
  awaitEarlier();
  __shared__ alignas(16) T tiles[2][KEYS * PITCH];
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  const T* query = q + row * qRow + head * qHead;
  Entries asked = {query, query, 0, queries, qToken};
  Entries keys = {k1 + row * rowStride1 + head * headStride1,
                  k2 + row * rowStride2 + head * headStride2, count1, count1 + count2,
                  tokenStride2};
  int part = blockIdx.x % parts, all = (keys.count + KEYS - 1) / KEYS;
  int tile = (i64)all * part / parts, end = (i64)all * (part + 1) / parts;
  begin(keys, tile * KEYS, tiles[tile % 2]);
  Rows rows(asked, blockIdx.x / parts);
  float largest[2][2], total[2][2];
#pragma unroll
  for (int m = 0; m < 2; m++) {
    largest[m][0] = largest[m][1] = -1e30f;
    total[m][0] = total[m][1] = 0;
  }
  for (; tile < end; tile++) {
    begin(keys, tile + 1 < end ? (tile + 1) * KEYS : keys.count, tiles[(tile + 1) % 2]);
    awaitTile();
    rows.score(tiles[tile % 2]);
    rows.keep(keys.count - tile * KEYS);
#pragma unroll
    for (int m = 0; m < 2; m++) {
      float shift[2];
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float most = largest[m][r];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
          most = fmaxf(most, fmaxf(rows.scores[m][j][2 * r], rows.scores[m][j][2 * r + 1]));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
        total[m][r] *= exp2Of((largest[m][r] - most) * LOG2_E);
        largest[m][r] = most;
        shift[r] = most * LOG2_E;
      }
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
        for (int c = 0; c < 4; c++)
          total[m][c / 2] += exp2Of(fmaf(rows.scores[m][j][c], LOG2_E, -shift[c / 2]));
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int m = 0; m < 2; m++) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float sum = ofRow(total[m][r]);
      int n = rows.first + m * 16 + rows.group + r * 8;
      if (n < queries && rows.pair == 0)
        lse[((i64)part * gridDim.y + blockIdx.y) * queries + n] =
            largest[m][r] + log2f(sum) * LN_2;
    }
  }
}

// Sums over queries of exp(score - lse): [rows * heads, count1 + count2]; the log-sum-exp and its
// parts as query_sums writes them, q and keys as it reads them. Grid: tiles of keys x rows * heads.
extern "C" __global__ void __launch_bounds__(128, 3) key_sums(
    const T* q, i64 qRow, i64 qHead, i64 qToken, int queries, int heads, const T* k1, i64 rowStride1,
    i64 headStride1, int count1, const T* k2, i64 rowStride2, i64 headStride2, i64 tokenStride2,
    int count2, int parts, const float* lse, float* sums) {
  awaitEarlier();
  __shared__ alignas(16) T tiles[2][KEYS * PITCH];
  __shared__ alignas(8) float logs[2][KEYS];
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  const T* query = q + row * qRow + head * qHead;
  Entries asked = {query, query, 0, queries, qToken};
  Entries keys = {k1 + row * rowStride1 + head * headStride1,
                  k2 + row * rowStride2 + head * headStride2, count1, count1 + count2,
                  tokenStride2};
  begin(asked, 0, tiles[0]);
  Rows rows(keys, blockIdx.x);
  float total[2][2] = {};
  for (int tile = 0; tile * KEYS < queries; tile++) {
    begin(asked, (tile + 1) * KEYS, tiles[(tile + 1) % 2]);
    if (threadIdx.x < KEYS) {
      // Queries beyond the last have no weight.
      float joined = __int_as_float(0x7f800000);
      int n = tile * KEYS + threadIdx.x;
      if (n < queries) {
        const float* log = lse + (i64)blockIdx.y * queries + n;
        i64 apart = (i64)gridDim.y * queries;
        float most = log[0], weights = 0;
        for (int part = 1; part < parts; part++) most = fmaxf(most, log[part * apart]);
        for (int part = 0; part < parts; part++)
          weights += exp2f((log[part * apart] - most) * LOG2_E);
        joined = most * LOG2_E + log2f(weights);
      }
      logs[tile % 2][threadIdx.x] = joined;
    }
    awaitTile();
    rows.score(tiles[tile % 2]);
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
      float2 log = *(const float2*)(logs[tile % 2] + j * 8 + rows.pair);
#pragma unroll
      for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int c = 0; c < 4; c++)
          total[m][c / 2] += exp2Of(fmaf(rows.scores[m][j][c], LOG2_E, c % 2 ? -log.y : -log.x));
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int m = 0; m < 2; m++) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float sum = ofRow(total[m][r]);
      int n = rows.first + m * 16 + rows.group + r * 8;
      if (n < keys.count && rows.pair == 0) sums[(i64)blockIdx.y * keys.count + n] = sum;
    }
  }
}
