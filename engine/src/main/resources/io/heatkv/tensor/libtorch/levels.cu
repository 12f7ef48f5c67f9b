// What storing maps at levels costs, see LevelCosts: entries of all levels, attention to each scale
// alone, the company of each atom, the squares of what levels move.
//
// Compiled at run time, after stored.cu and tile.cu, with ELEMENT 1 and EXACT_WEIGHTS: whatever the
// compute type, products are of float16, which holds codes of 8 bits exactly and means and what 4 bits
// decode to with 1 / 40 of the error that these levels have. DIM is a power of two from 16 to 128.
// Sums of scores are logarithms to base 2.

#define LOG2_E 1.44269504f
#define POOLS 4
#define SLOTS 16

// Entries as means of blocks, as codes of 8 bits, decoded from 4 bits.
enum { MEANS, EIGHT, FOUR, VARIANTS };

// A scale, of the table: its map, where its tokens lie among cached ones, its first query, and where
// its entries of each pool lie.
struct Scale {
  int height, width, token, query, first[POOLS];

  __device__ int columns(int pool) const { return (width + (1 << pool) - 1) >> pool; }
  __device__ int count(int pool) const {
    return ((height + (1 << pool) - 1) >> pool) * columns(pool);
  }
};

// 8 channels of the mean over an entry's block of tokens.
static __device__ void blockMean(
    const Scale& scale, int pool, int entry, const T* tokens, bool brain, float* x) {
  int top = entry / scale.columns(pool) << pool, left = entry % scale.columns(pool) << pool;
  int bottom = min(top + (1 << pool), scale.height), right = min(left + (1 << pool), scale.width);
  float counted = (float)((bottom - top) * (right - left));
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = 0;
  for (int row = top; row < bottom; row++) {
    for (int column = left; column < right; column++) {
      uint4 in = *(const uint4*)(tokens + (i64)(row * scale.width + column) * DIM);
      u32 words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
      for (int j = 0; j < 8; j++) {
        u16 bits = (u16)(words[j / 2] >> 16 * (j % 2));
        x[j] += brain ? fromBrain(bits) : fromHalf(bits);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = __fdiv_rn(x[j], counted);
}

static __device__ void write8(T* to, float* x) {
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = saturated(x[j]);
  *(uint4*)to = pack8(x);
}

// Keys and values [heads, tokens, DIM] as levels store them [heads, 2, VARIANTS, entries, DIM], and the
// steps of 8 bits [heads, 2, entries]: fractions of the largest one of a map [heads, 2, sources,
// POOLS], since float16 has to hold weights times the steps of values.
// Grid: keys and values of heads x pools of sources.
extern "C" __global__ void __launch_bounds__(256) level_entries(
    const T* keys, const T* values, int tokens, const Scale* scales, T* out, float* steps,
    float* largest, int entries, int brain) {
  awaitEarlier();
  __shared__ float lows[256 * 8], highs[256 * 8], tops[256];
  int map = gridDim.y - 1 - blockIdx.y, pool = map % POOLS, lane = threadIdx.x % LANES;
  Scale scale = scales[map / POOLS];
  int count = scale.count(pool);
  const T* from = (blockIdx.x % 2 ? values : keys) +
                  ((i64)(blockIdx.x / 2) * tokens + scale.token) * DIM + lane * 8;
  i64 variant = (i64)entries * DIM;
  T* to = out + (i64)blockIdx.x * VARIANTS * variant + (i64)scale.first[pool] * DIM + lane * 8;
  u32 together = ((1u << LANES) - 1) << (threadIdx.x % 32 / LANES * LANES);
  steps += (i64)blockIdx.x * entries + scale.first[pool];
  float low[8], high[8], top = 0;
#pragma unroll
  for (int j = 0; j < 8; j++) low[j] = 1e38f, high[j] = -1e38f;
  for (int entry = threadIdx.x / LANES; entry < count; entry += 256 / LANES) {
    float x[8], codes[8], most = 0;
    blockMean(scale, pool, entry, from, brain, x);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      low[j] = fminf(low[j], x[j]);
      high[j] = fmaxf(high[j], x[j]);
      most = fmaxf(most, fabsf(x[j]));
    }
    for (int offset = 1; offset < LANES; offset *= 2)
      most = fmaxf(most, __shfl_xor_sync(together, most, offset));
    float step = fromHalf(halfAbove(__fdiv_rn(most, INT8_MAX)));
    Divisor by(step);
#pragma unroll
    for (int j = 0; j < 8; j++) codes[j] = (float)by.of(x[j], -INT8_MAX, INT8_MAX);
    if (lane == 0) steps[entry] = step;
    top = fmaxf(top, step);
    write8(to + MEANS * variant + (i64)entry * DIM, x);
    write8(to + EIGHT * variant + (i64)entry * DIM, codes);
  }
#pragma unroll
  for (int j = 0; j < 8; j++) {
    lows[threadIdx.x * 8 + j] = low[j];
    highs[threadIdx.x * 8 + j] = high[j];
  }
  tops[threadIdx.x] = top;
  __syncthreads();
  for (int other = lane; other < 256; other += LANES) top = fmaxf(top, tops[other]);
  if (threadIdx.x == 0) largest[(i64)blockIdx.x * gridDim.y + map] = top;
  float step[8];
#pragma unroll
  for (int j = 0; j < 8; j++) {
    for (int other = lane; other < 256; other += LANES) {
      low[j] = fminf(low[j], lows[other * 8 + j]);
      high[j] = fmaxf(high[j], highs[other * 8 + j]);
    }
    low[j] = fromHalf(halfBelow(low[j]));
    step[j] = fromHalf(halfAbove(__fdiv_rn(high[j] - low[j], INT4_MAX)));
  }
  for (int entry = threadIdx.x / LANES; entry < count; entry += 256 / LANES) {
    float x[8];
    blockMean(scale, pool, entry, from, brain, x);
#pragma unroll
    for (int j = 0; j < 8; j++)
      x[j] = low[j] + step[j] * Divisor(step[j]).of(x[j] - low[j], 0, INT4_MAX);
    if (lane == 0 && top > 0) steps[entry] = __fdiv_rn(steps[entry], top);
    write8(to + FOUR * variant + (i64)entry * DIM, x);
  }
}

// What all threads that share a query have.
static __device__ float ofRow(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

// Attention of queries [heads, queries, DIM] to one scale alone, their own in place 0 and source s in
// place 1 + s: outputs [heads, queries, 1 + sources, DIM], and the logarithms of sums of scores. Keys
// and values k and v are of the last scale [heads, tokens, DIM].
// Grid: heads x items, each a scale and a block of its own and later queries.
extern "C" __global__ void __launch_bounds__(128, 3) level_parts(
    const T* q, int queries, const T* stored, int entries, const T* k, const T* v,
    const Scale* scales, int sources, const int2* items, float* outputs, float* sums) {
  awaitEarlier();
  __shared__ alignas(16) T keys[KEYS * PITCH];
  __shared__ alignas(16) T values[KEYS * PITCH];
  int2 item = items[blockIdx.y];
  Scale scale = scales[item.x];
  bool isLast = item.x == sources;
  int left = queries - scale.query, count = scale.count(0);
  int own = isLast ? left : scales[item.x + 1].query - scale.query;
  i64 query = (i64)blockIdx.x * queries + scale.query, variant = (i64)entries * DIM;
  const T* entry = stored + (i64)blockIdx.x * 2 * VARIANTS * variant + (i64)scale.first[0] * DIM;
  i64 last = (i64)blockIdx.x * count * DIM;
  Attention attention(q + query * DIM, DIM, left, item.y);
  attention.dense(isLast ? k + last : entry, isLast ? v + last : entry + VARIANTS * variant, count,
                  LOG2_E, keys, values, nullptr, nullptr, nullptr);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    float total = ofRow(attention.total[r]);
    int n = attention.first + attention.group + r * 8;
    if (n < left) {
      i64 place = (query + n) * (1 + sources) + (n < own ? 0 : 1 + item.x);
      if (attention.pair == 0) sums[place] = attention.largest[r] + log2f(total);
#pragma unroll
      for (int j = 0; j < DIM / 8; j++)
        *(float2*)(outputs + place * DIM + j * 8 + attention.pair) = make_float2(
            attention.sums[j][2 * r] / total, attention.sums[j][2 * r + 1] / total);
    }
  }
}

// Attention to some scales: its output in one channel, and the logarithm of its sum.
struct Company {
  float output, sum;

  __device__ void join(float other, float otherSum) {
    float most = fmaxf(sum, otherSum);
    float weight = exp2f(sum - most), otherWeight = exp2f(otherSum - most);
    float total = weight + otherWeight;
    output = (weight * output + otherWeight * other) / total;
    sum = most + log2f(total);
  }
};

// Of each query and each source that it sees: how far the output of attention to the source alone is
// from that to its company, which is all other scales or smaller ones and the query's own
// [heads, queries, sources, 2, DIM], and the logarithms of what both companies weigh if the source
// weighs 1 [heads, queries, sources]. `seen` are the sources of each query.
// Grid: queries x heads; DIM threads.
extern "C" __global__ void __launch_bounds__(DIM) level_companies(
    const float* outputs, const float* sums, const int* seen, int sources, float* apart,
    float2* rests) {
  awaitEarlier();
  i64 query = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  int count = seen[blockIdx.x];
  const float* sum = sums + query * (1 + sources);
  const float* output = outputs + query * (1 + sources) * DIM + threadIdx.x;
  float* to = apart + query * sources * 2 * DIM + threadIdx.x;
  // First attention to larger sources, which the same thread reads again.
  Company company = {0, -1e30f};
  for (int s = count - 1; s >= 0; s--) {
    to[2 * s * DIM] = company.output;
    to[(2 * s + 1) * DIM] = company.sum;
    company.join(output[(1 + s) * DIM], sum[1 + s]);
  }
  company = {output[0], sum[0]};
  for (int s = 0; s < count; s++) {
    float own = output[(1 + s) * DIM];
    Company all = company;
    all.join(to[2 * s * DIM], to[(2 * s + 1) * DIM]);
    to[2 * s * DIM] = own - all.output;
    to[(2 * s + 1) * DIM] = own - company.output;
    if (threadIdx.x == 0)
      rests[query * sources + s] = make_float2(all.sum - sum[1 + s], company.sum - sum[1 + s]);
    company.join(own, sum[1 + s]);
  }
}

// Attends to the entries of a level: their keys and values, and the steps of these or null. Scores
// are multiplied by scale. Warps without queries only load.
static __device__ void attendToLevel(
    Attention& attention, int queries, const T* k, const T* v, int count, float scale,
    const float* keySteps, const float* valueSteps, const float* added, T* keys, T* values,
    float* here, float* steps) {
  for (int start = 0; start < count; start += KEYS) {
    int left = count - start;
    __syncthreads();
    if (threadIdx.x < KEYS && threadIdx.x < left) {
      int entry = start + threadIdx.x;
      here[threadIdx.x] = added[entry];
      steps[threadIdx.x] = keySteps ? keySteps[entry] : 1;
      steps[KEYS + threadIdx.x] = valueSteps ? valueSteps[entry] : 1;
    }
    attention.load(k, v, start, left, nullptr, keys, values);
    __syncthreads();
    if (attention.first < queries) attention.tile(keys, values, left, scale, here, steps);
  }
}

// Squares by which levels of a source move outputs, sums over queries by their shares [queries], for
// each item and slot: [heads, items, SLOTS]. A level's output is d from the source's own, which is e
// from its company's; where the source weighs 1, the level m and the company r, an output moves by
// (m d + (m - 1) r / (1 + r) e) / (m + r). Entries count for 2 to the power of `added`.
// Grid: heads x items, each a source and a block of later queries.
extern "C" __global__ void __launch_bounds__(128, 3) level_costs(
    const T* q, int queries, const T* stored, const float* steps, const float* largest, int entries,
    const float* added, const Scale* scales, int sources, const int2* items, const float* outputs,
    const float* sums, const float* apart, const float2* rests, const float* shares, float* costs) {
  awaitEarlier();
  __shared__ alignas(16) T keys[KEYS * PITCH];
  __shared__ alignas(16) T values[KEYS * PITCH];
  __shared__ float here[KEYS];
  __shared__ float hereSteps[2 * KEYS];
  __shared__ float ofWarps[4];
  int2 item = items[blockIdx.y];
  Scale scale = scales[item.x];
  int start = scales[item.x + 1].query, left = queries - start;
  i64 first = (i64)blockIdx.x * queries + start, variant = (i64)entries * DIM;
  stored += (i64)blockIdx.x * 2 * VARIANTS * variant;
  steps += (i64)blockIdx.x * 2 * entries;
  largest += ((i64)blockIdx.x * 2 * sources + item.x) * POOLS;
  for (int slot = 0; slot < SLOTS; slot++) {
    Attention attention(q + first * DIM, DIM, left, item.y);
    // In the order of Level: 16 bits, 8, 8 and 4, 4.
    int pool = slot / 4, precision = slot % 4;
    float valueUnit = 1;
    if (slot > 0) {
      int key = precision == 0 ? MEANS : precision == 3 ? FOUR : EIGHT;
      int value = precision == 0 ? MEANS : precision == 1 ? EIGHT : FOUR;
      i64 entry = scale.first[pool], at = entry * DIM;
      float keyUnit = key == EIGHT ? largest[pool] : 1;
      if (value == EIGHT) valueUnit = largest[sources * POOLS + pool];
      attendToLevel(attention, left, stored + key * variant + at,
                    stored + (VARIANTS + value) * variant + at, scale.count(pool),
                    LOG2_E * keyUnit, key == EIGHT ? steps + entry : nullptr,
                    value == EIGHT ? steps + entries + entry : nullptr, added + entry, keys, values,
                    here, hereSteps);
    }
    float cost = 0;
#pragma unroll
    for (int r = 0; r < 2 && attention.first < left; r++) {
      float total = ofRow(attention.total[r]), unit = valueUnit / total;
      int n = attention.first + attention.group + r * 8;
      i64 query = first + (n < left ? n : 0);
      i64 place = query * (1 + sources) + 1 + item.x;
      const float* own = outputs + place * DIM + attention.pair;
      const float* other = apart + (query * sources + item.x) * 2 * DIM + attention.pair;
      float2 both = rests[query * sources + item.x];
      float squares = 0, products[2] = {}, distances[2] = {};
#pragma unroll
      for (int j = 0; j < DIM / 8; j++) {
        float2 o = *(const float2*)(own + j * 8);
        float2 d = make_float2(attention.sums[j][2 * r] * unit - o.x,
                               attention.sums[j][2 * r + 1] * unit - o.y);
        if (slot == 0) d = make_float2(0, 0);
        squares += d.x * d.x + d.y * d.y;
#pragma unroll
        for (int company = 0; company < 2; company++) {
          float2 e = *(const float2*)(other + company * DIM + j * 8);
          products[company] += d.x * e.x + d.y * e.y;
          distances[company] += e.x * e.x + e.y * e.y;
        }
      }
      squares = ofRow(squares);
      // Logarithms: either may be next to nothing beside the other.
      float level = slot > 0 ? attention.largest[r] + log2f(total) - sums[place] : -1e30f;
#pragma unroll
      for (int company = 0; company < 2; company++) {
        float rest = company == 0 ? both.x : both.y;
        float moved = 1 / (1 + exp2f(rest - level));
        float grown = (exp2f(level) - 1) / (1 + exp2f(level - rest)) / (1 + exp2f(rest));
        float square = moved * moved * squares + 2 * moved * grown * ofRow(products[company]) +
                       grown * grown * ofRow(distances[company]);
        if (n < left && attention.pair == 0) cost += shares[start + n] * fmaxf(square, 0);
      }
    }
    for (int offset = 1; offset < 32; offset *= 2) cost += __shfl_xor_sync(~0u, cost, offset);
    if (attention.lane == 0) ofWarps[threadIdx.x / 32] = cost;
    __syncthreads();
    if (threadIdx.x == 0)
      costs[((i64)blockIdx.x * gridDim.y + blockIdx.y) * SLOTS + slot] =
          ofWarps[0] + ofWarps[1] + ofWarps[2] + ofWarps[3];
    __syncthreads();
  }
}
