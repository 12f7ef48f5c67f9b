// Elementwise chains of the transformer's blocks and of the decoder's, each one pass over memory.
//
// Compiled at run time with ELEMENT 0 (float32), 1 (float16) or 2 (bfloat16): the type T of
// activations. All arithmetic is float32. Every thread moves units of 8 channels, so that loads
// are 16 bytes wide; there are no includes, which keeps compilation short.

typedef long long i64;

#if ELEMENT == 0
typedef float T;
static __device__ float widen(T x) { return x; }
static __device__ T narrow(float x) { return x; }
#elif ELEMENT == 1
typedef unsigned short T;
static __device__ float widen(T x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
static __device__ T narrow(float x) {
  T y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}
#else
typedef unsigned short T;
static __device__ float widen(T x) { return __uint_as_float((unsigned)x << 16); }
static __device__ T narrow(float x) {
  // Round to nearest, ties to even; a NaN stays one.
  unsigned bits = __float_as_uint(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return (T)((bits >> 16) | 0x40);
  return (T)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#endif

struct alignas(16) Unit { T at[8]; };
struct alignas(16) Floats { float at[8]; };

static __device__ float blockSum(float x) {
  __shared__ float partial[32];
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  __syncthreads();
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  x = threadIdx.x % 32 < blockDim.x / 32 ? partial[threadIdx.x % 32] : 0;
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}

// x += y * gate, then out = layerNorm(x) * gain + shift; one block a token.
// x [rows, tokens, width]; y the same or null; gate of each row or null for 1; gain and shift of
// each row, or of all rows with stride 0; out null for the sum alone.
extern "C" __global__ void add_norm(
    float* x, const T* y, const float* gate, const float* gain, const float* shift, T* out,
    int width, int tokens, int gateStride, int gainStride, float eps) {
  awaitEarlier();
  const int UNITS = 4;
  Floats held[UNITS];
  i64 base = (i64)blockIdx.x * width;
  i64 row = blockIdx.x / tokens;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    int at = (threadIdx.x + i * blockDim.x) * 8;
    if (at < width) held[i] = *(const Floats*)(x + base + at);
  }
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    int at = (threadIdx.x + i * blockDim.x) * 8;
    if (at < width) {
      if (y) {
        Unit added = *(const Unit*)(y + base + at);
        Floats factor;
        if (gate) factor = *(const Floats*)(gate + row * gateStride + at);
#pragma unroll
        for (int j = 0; j < 8; j++)
          held[i].at[j] += widen(added.at[j]) * (gate ? factor.at[j] : 1.0f);
        *(Floats*)(x + base + at) = held[i];
      }
#pragma unroll
      for (int j = 0; j < 8; j++) sum += held[i].at[j];
    }
  }
  if (!out) return;
  float mean = blockSum(sum) / width;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    int at = (threadIdx.x + i * blockDim.x) * 8;
    if (at < width) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        held[i].at[j] -= mean;
        squares += held[i].at[j] * held[i].at[j];
      }
    }
  }
  float inverse = rsqrtf(blockSum(squares) / width + eps);
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    int at = (threadIdx.x + i * blockDim.x) * 8;
    if (at < width) {
      Floats g = *(const Floats*)(gain + row * gainStride + at);
      Floats s = *(const Floats*)(shift + row * gainStride + at);
      Unit result;
#pragma unroll
      for (int j = 0; j < 8; j++)
        result.at[j] = narrow(held[i].at[j] * inverse * g.at[j] + s.at[j]);
      *(Unit*)(out + base + at) = result;
    }
  }
}

// In q and k of [rows, tokens, 3, heads, dim] heads are divided by their L2 norm if asked, scaled by
// factors [2, heads] and rotated by the pairs (cosine, sine) of rotary [tokens, dim / 2], in place; but
// k and v come to keys and values [rows, heads, tokens, dim] unless these are null, whose rows and
// heads lie rowStride and headStride elements apart. A thread takes the same unit of all three.
// Grid: tokens of all rows x units of heads.
extern "C" __global__ void split_heads(
    T* qkv, T* keys, T* values, const float* factors, const float* rotary, i64 rowStride,
    i64 headStride, int tokens, int heads, int dim, int normalise) {
  awaitEarlier();
  int lanes = dim / 8, units = heads * lanes;
  int unit = blockIdx.y * blockDim.x + threadIdx.x;
  bool valid = unit < units;
  int lane = unit % lanes, head = unit / lanes;
  int row = blockIdx.x / tokens, n = blockIdx.x % tokens;
  Unit in[3] = {};
  Floats turn = {};
  T* from = qkv + ((i64)blockIdx.x * 3 * units + unit) * 8;
  if (valid) {
#pragma unroll
    for (int part = 0; part < 3; part++)
      if (part < 2 || values) in[part] = *(const Unit*)(from + part * units * 8);
    turn = *(const Floats*)(rotary + ((i64)n * lanes + lane) * 8);
  }
#pragma unroll
  for (int part = 0; part < 2; part++) {
    float x[8], squares = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      x[j] = widen(in[part].at[j]);
      squares += x[j] * x[j];
    }
    // The lanes of a head are neighbours in one warp.
    for (int offset = lanes / 2; offset > 0; offset >>= 1)
      squares += __shfl_xor_sync(~0u, squares, offset);
    float factor = valid ? factors[part * heads + head] : 0;
    if (normalise) factor /= fmaxf(sqrtf(squares), 1e-12f);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      float a = x[j] * factor, b = x[j + 1] * factor;
      in[part].at[j] = narrow(a * turn.at[j] - b * turn.at[j + 1]);
      in[part].at[j + 1] = narrow(a * turn.at[j + 1] + b * turn.at[j]);
    }
  }
  if (!valid) return;
  *(Unit*)from = in[0];
  i64 to = row * rowStride + head * headStride + (i64)n * dim + lane * 8;
  *(Unit*)(keys ? keys + to : from + units * 8) = in[1];
  if (values) *(Unit*)(values + to) = in[2];
}

// Attention outputs [rows, heads, tokens, dim], which lie so many elements apart, to [rows, tokens,
// heads, dim]. Where b isn't null, a and b cover disjoint keys and are weighted by the log-sum-exp
// [rows, heads, tokens] of their scores; b counts nothing for a (row, head) whose range in ends [rows *
// heads + 1] is empty. The log-sum-exp of both is written to lse, unless that is null.
extern "C" __global__ void join_heads(
    const T* a, i64 aRow, i64 aHead, i64 aToken, const float* lseA, const T* b, i64 bRow, i64 bHead,
    i64 bToken, const float* lseB, const int* ends, T* out, float* lse, i64 units, int tokens,
    int heads, int dim) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  int lane = unit % lanes;
  i64 query = unit / lanes;
  int n = query % tokens;
  i64 sequence = query / tokens;
  i64 row = sequence / heads;
  int head = sequence % heads;
  Unit result = *(const Unit*)(a + row * aRow + head * aHead + n * aToken + lane * 8);
  if (b && !(ends && ends[sequence] == ends[sequence + 1])) {
    Unit other = *(const Unit*)(b + row * bRow + head * bHead + n * bToken + lane * 8);
    float weight = 1 / (1 + __expf(lseB[query] - lseA[query]));
    if (lse && lane == 0)
      lse[query] = fmaxf(lseA[query], lseB[query]) +
          log1pf(__expf(-fabsf(lseA[query] - lseB[query])));
#pragma unroll
    for (int j = 0; j < 8; j++) {
      float y = widen(other.at[j]);
      result.at[j] = narrow(y + (widen(result.at[j]) - y) * weight);
    }
  }
  *(Unit*)(out + (((row * tokens + n) * heads + head) * lanes + lane) * 8) = result;
}

// out[part, row, i] = arena[part, row, slots[i]]; arena [2, rows, capacity, dim], whose rows lie
// together with gap entries between the parts, out [2, rows, count, dim]. One thread a unit of out.
extern "C" __global__ void gather_slots(
    const T* arena, const i64* slots, T* out, i64 units, i64 capacity, i64 count, i64 gap,
    int rows, int dim) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  i64 entry = unit / lanes;
  i64 plane = entry / count;
  i64 from = plane * capacity + (plane < rows ? 0 : gap) + slots[entry % count];
  *(Unit*)(out + unit * 8) = *(const Unit*)(arena + (from * lanes + unit % lanes) * 8);
}

// Writes all tokens of the given heads of k and v [rows, heads, tokens, dim], whose rows, heads and
// tokens lie so many elements apart, into slots of the arena [2, rows, capacity, dim] (as gather_slots
// reads it), head after head. One thread a unit of k and v.
extern "C" __global__ void scatter_slots(
    T* arena, const i64* slots, const i64* written, const T* k, const T* v, i64 rowStride,
    i64 headStride, i64 tokenStride, i64 units, i64 capacity, i64 count, i64 gap, int rows,
    int heads, int tokens, int dim) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  int lane = unit % lanes;
  i64 entry = unit / lanes;
  i64 i = entry % count;
  i64 plane = entry / count;
  i64 from =
      plane % rows * rowStride + written[i / tokens] * headStride + i % tokens * tokenStride;
  const T* source = plane < rows ? k : v;
  i64 to = plane * capacity + (plane < rows ? 0 : gap) + slots[i];
  *(Unit*)(arena + (to * lanes + lane) * 8) =
      *(const Unit*)(source + from + lane * 8);
}

// Writes into slots of the arena, head after head, entries of held [2, rows, heads * before, dim] and
// of k and v, strided as scatter_slots takes them: numbers of a head's held entries, then of its
// tokens, through all heads of a row (shared) or of all rows. One thread a unit of what is written.
extern "C" __global__ void replace_slots(
    T* arena, const i64* slots, const i64* entries, const T* held, const T* k, const T* v,
    i64 rowStride, i64 headStride, i64 tokenStride, i64 units, i64 capacity, i64 count, i64 gap,
    int isShared, int rows, int heads, int before, int tokens, int dim) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  int lane = unit % lanes;
  i64 i = unit / lanes % count;
  i64 plane = unit / lanes / count;
  i64 row = plane % rows;
  i64 entry = entries[isShared ? i : row * count + i];
  i64 sequence = entry / (before + tokens), at = entry % (before + tokens);
  if (isShared) sequence += row * heads;
  const T* source = plane < rows ? k : v;
  const T* from = at < before
      ? held + ((plane - row) * heads + sequence) * before * dim + at * dim
      : source + sequence / heads * rowStride + sequence % heads * headStride +
          (at - before) * tokenStride;
  i64 to = plane * capacity + (plane < rows ? 0 : gap) + slots[i];
  *(Unit*)(arena + to * dim + lane * 8) = *(const Unit*)(from + lane * 8);
}

// Bits in shared memory, and how many come before each of their words.
struct Bits {
  unsigned* words;
  int* before;
  int count;

  // Of `places` bits and one more; takes what it needs from `memory`. All are 0.
  __device__ Bits(int places, int*& memory) {
    count = places / 32 + 1;
    words = (unsigned*)memory;
    before = memory + count;
    memory += 2 * count;
    for (int i = threadIdx.x; i < count; i += blockDim.x) words[i] = 0;
  }

  __device__ void set(int i) { atomicOr(words + i / 32, 1u << i % 32); }
  __device__ bool has(int i) const { return words[i / 32] >> i % 32 & 1; }
  // Bits before one, once they are counted.
  __device__ int rank(int i) const {
    return before[i / 32] + __popc(words[i / 32] & ((1u << i % 32) - 1));
  }

  // By the first warp.
  __device__ void countAll() {
    if (threadIdx.x >= 32) return;
    int lane = threadIdx.x, all = 0;
    for (int start = 0; start < count; start += 32) {
      int i = start + lane, own = i < count ? __popc(words[i]) : 0, sum = own;
      for (int offset = 1; offset < 32; offset *= 2) {
        int other = __shfl_up_sync(~0u, sum, offset);
        if (lane >= offset) sum += other;
      }
      if (i < count) before[i] = all + sum - own;
      all += __shfl_sync(~0u, sum, 31);
    }
  }
};

// Where kept entries go among their head's slots, kept and places [rows, heads, quota], and what each
// slot gets, numbered through all heads; places may be null: see DeviceOps. Grid: rows * heads.
extern "C" __global__ void arrange(
    const i64* kept, i64* places, i64* entries, int pictureRows, int heads, int quota, int held,
    int count) {
  awaitEarlier();
  extern __shared__ int memory[];
  int* left = memory;
  Bits stays(held, left), filled(quota, left), others(quota, left);
  unsigned short* gaps = (unsigned short*)left;
  int row = blockIdx.x / heads, head = blockIdx.x % heads;
  i64 first = (i64)(row / pictureRows * pictureRows * heads + head) * quota;
  i64 own = (i64)blockIdx.x * quota;
  __syncthreads();
  for (int i = threadIdx.x; i < quota; i += blockDim.x)
    if (kept[first + i] < held) stays.set((int)kept[first + i]);
  __syncthreads();
  stays.countAll();
  __syncthreads();
  // Held entries that the first row keeps come first, then those that it drops.
  auto place = [&](int entry) {
    if (entry >= held) return quota;
    int rank = stays.rank(entry);
    return stays.has(entry) ? rank : stays.rank(held) + entry - rank;
  };
  for (int i = threadIdx.x; i < quota; i += blockDim.x) {
    int to = place((int)kept[own + i]);
    if (to < quota) filled.set(to);
    else others.set(i);
  }
  __syncthreads();
  filled.countAll();
  others.countAll();
  __syncthreads();
  for (int i = threadIdx.x; i < quota; i += blockDim.x)
    if (!filled.has(i)) gaps[i - filled.rank(i)] = (unsigned short)i;
  __syncthreads();
  for (int i = threadIdx.x; i < quota; i += blockDim.x) {
    i64 entry = kept[own + i];
    int to = others.has(i) ? gaps[others.rank(i)] : place((int)entry);
    if (places) places[own + i] = to;
    entries[own + to] = entry + (i64)blockIdx.x * count;
  }
}

// Writes the tokens of k and v, strided as scatter_slots takes them, from entry start on into keys and
// values, whose rows and heads lie keyRow and keyHead elements apart. One thread a unit of k and v.
extern "C" __global__ void append(
    T* keys, T* values, const T* k, const T* v, i64 rowStride, i64 headStride, i64 tokenStride,
    i64 units, i64 keyRow, i64 keyHead, i64 start, int heads, int tokens, int dim) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  i64 entry = unit / lanes;
  i64 sequence = entry / tokens;
  i64 row = sequence / heads, head = sequence % heads, n = entry % tokens, channel = unit % lanes * 8;
  i64 from = row * rowStride + head * headStride + n * tokenStride + channel;
  i64 to = row * keyRow + head * keyHead + (start + n) * dim + channel;
  *(Unit*)(keys + to) = *(const Unit*)(k + from);
  *(Unit*)(values + to) = *(const Unit*)(v + from);
}

// Uniforms [tokens, symbols] of one picture: word b mod 4 of Philox4x32-10 with the seed as key and
// counter (b / 4, token, scale, 0), its upper 24 bits. One thread a counter, groups of a token.
extern "C" __global__ void draw_uniforms(
    float* out, i64 seed, int scale, i64 counters, int groups, int symbols) {
  awaitEarlier();
  i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= counters) return;
  unsigned group = at % groups, token = at / groups;
  unsigned c[4] = {group, token, (unsigned)scale, 0};
  unsigned k0 = (unsigned)seed, k1 = (unsigned)((unsigned long long)seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    unsigned low0 = 0xD2511F53u * c[0], high0 = __umulhi(0xD2511F53u, c[0]);
    unsigned low1 = 0xCD9E8D57u * c[2], high1 = __umulhi(0xCD9E8D57u, c[2]);
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int symbol = group * 4 + i;
    if (symbol < symbols) out[(i64)token * symbols + symbol] = (c[i] >> 8) * 5.9604644775390625e-8f;
  }
}

// The most channels of a picture's map.
#define MAX_CHANNELS 1024

// Sums of x [n, pixels, channels], and of its squares, over the pixels of each block of the grid:
// [n, blocks, 2, channels]. Threads: a multiple of channels / 8, at most 256. Grid: blocks x n.
extern "C" __global__ void channel_sums(const T* x, float* sums, i64 pixels, int channels) {
  awaitEarlier();
  __shared__ float held[2][256 * 8];
  int units = channels / 8, span = blockDim.x / units, unit = threadIdx.x % units;
  float sum[8] = {}, squares[8] = {};
  x += blockIdx.y * pixels * channels + unit * 8;
#pragma unroll 4
  for (i64 pixel = (i64)blockIdx.x * span + threadIdx.x / units; pixel < pixels;
       pixel += (i64)gridDim.x * span) {
    Unit in = *(const Unit*)(x + pixel * channels);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      float value = widen(in.at[j]);
      sum[j] += value;
      squares[j] += value * value;
    }
  }
#pragma unroll
  for (int j = 0; j < 8; j++) {
    held[0][threadIdx.x * 8 + j] = sum[j];
    held[1][threadIdx.x * 8 + j] = squares[j];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 2 * channels; i += blockDim.x) {
    float total = 0;
    for (int k = 0; k < span; k++) total += held[i / channels][k * channels + i % channels];
    sums[((i64)blockIdx.y * gridDim.x + blockIdx.x) * 2 * channels + i] = total;
  }
}

// What group norm multiplies each channel with and adds: [n, 2, channels]. One block a picture.
extern "C" __global__ void group_factors(
    const float* sums, const T* weight, const T* bias, float* factors, int blocks, i64 pixels,
    int channels, int groups, float eps) {
  awaitEarlier();
  __shared__ double totals[2 * MAX_CHANNELS];
  sums += (i64)blockIdx.x * blocks * 2 * channels;
  factors += blockIdx.x * 2 * channels;
  for (int i = threadIdx.x; i < 2 * channels; i += blockDim.x) {
    double total = 0;
#pragma unroll 8
    for (int block = 0; block < blocks; block++) total += sums[(i64)block * 2 * channels + i];
    totals[i] = total;
  }
  __syncthreads();
  int each = channels / groups;
  for (int channel = threadIdx.x; channel < channels; channel += blockDim.x) {
    double mean = 0, squares = 0;
    for (int i = channel / each * each; i < (channel / each + 1) * each; i++) {
      mean += totals[i];
      squares += totals[channels + i];
    }
    mean /= (double)pixels * each;
    double variance = squares / ((double)pixels * each) - mean * mean;
    float factor = widen(weight[channel]) * rsqrtf((float)fmax(variance, 0.0) + eps);
    factors[channel] = factor;
    factors[channels + channel] = widen(bias[channel]) - (float)mean * factor;
  }
}

// x * factor + shift, or SiLU of it; x and out [n, pixels, channels]. One thread a unit.
extern "C" __global__ void scale_maps(
    const T* x, const float* factors, T* out, i64 units, i64 pixels, int channels, int silu) {
  awaitEarlier();
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = channels / 8, channel = unit % lanes * 8;
  const float* factor = factors + unit / lanes / pixels * 2 * channels + channel;
  Unit in = *(const Unit*)(x + unit * 8);
  Floats scale = *(const Floats*)factor, shift = *(const Floats*)(factor + channels);
#pragma unroll
  for (int j = 0; j < 8; j++) {
    // Rounded in between, as two operators do it.
    in.at[j] = narrow(widen(in.at[j]) * scale.at[j] + shift.at[j]);
    if (silu) {
      float y = widen(in.at[j]);
      in.at[j] = narrow(y / (1 + expf(-y)));
    }
  }
  *(Unit*)(out + unit * 8) = in;
}
