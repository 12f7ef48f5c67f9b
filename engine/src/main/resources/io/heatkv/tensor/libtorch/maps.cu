// Maps of tokens as they are stored in an arena of bytes: means over blocks, 16, 8 and 4 bits.
//
// Compiled at run time with ELEMENT 0 (float32), 1 (float16) or 2 (bfloat16): the type T of keys and
// values. The definition is MapCodec: all arithmetic is float32, one rounding an operation. Threads
// move units of 8 channels; head_dim is a power of two from 8 to 256, a granule head_dim / 2 bytes,
// so that no word of 4 bytes crosses from one to another.

typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

static __device__ float fromHalf(u16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
static __device__ u16 toHalf(float x) {
  u16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}
static __device__ float fromBrain(u16 x) { return __uint_as_float((u32)x << 16); }
static __device__ u16 toBrain(float x) {
  // Round to nearest, ties to even; a NaN stays one.
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return (u16)((bits >> 16) | 0x40);
  return (u16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

#if ELEMENT == 0
typedef float T;
static __device__ float widen(T x) { return x; }
static __device__ T narrow(float x) { return x; }
#elif ELEMENT == 1
typedef u16 T;
static __device__ float widen(T x) { return fromHalf(x); }
static __device__ T narrow(float x) { return toHalf(x); }
#else
typedef u16 T;
static __device__ float widen(T x) { return fromBrain(x); }
static __device__ T narrow(float x) { return toBrain(x); }
#endif

struct alignas(16) Unit { T at[8]; };

#define MAX_HALF 65504.0f
#define INT8_MAX 127.0f
#define INT4_MAX 15.0f

static __device__ float saturated(float x) { return fmaxf(-MAX_HALF, fminf(MAX_HALF, x)); }

// The least half that isn't below x, 0 or more.
static __device__ u16 halfAbove(float x) {
  float wanted = saturated(x);
  u16 near = toHalf(wanted);
  return fromHalf(near) < wanted ? (u16)(near + 1) : near;
}

// The largest half that isn't above x.
static __device__ u16 halfBelow(float x) {
  float wanted = saturated(x);
  u16 near = toHalf(wanted);
  if (fromHalf(near) > wanted) return wanted < 0 ? (u16)((near | 0x8000) + 1) : (u16)(near - 1);
  return near;
}

static __device__ float divisor(float step) { return step == 0 ? 1 : step; }

static __device__ int rounded(float x, float least, float most) {
  return (int)rintf(fmaxf(least, fminf(most, x)));
}

// Of NumberFormat.
enum { FLOAT16, INT8, INT4, INT4_ENTRY };

static __device__ int entryBytes(int format, int dim) {
  return format == FLOAT16 ? 2 * dim : format == INT8 ? dim : dim / 2;
}

static __device__ int scaleBytes(int format, int entries, int dim) {
  int granule = dim / 2;
  if (format == INT4) return 4 * dim;
  int each = format == INT8 ? 2 : format == INT4_ENTRY ? 4 : 0;
  return (each * entries + granule - 1) / granule * granule;
}

// A map of a table, see StoredMaps.
struct Map {
  int start, head, height, width, pool, formats[2], run, runs;
};

// The keys (0) or the values (1) of a map in one row.
struct Part {
  const int* runs;
  u8* row;
  int count, dim, format, entries, start, stride, scales;

  // Where a byte of the map lies.
  __device__ u8* at(int byte) const {
    int granule = byte / (dim / 2);
    int low = 0, high = count - 1;
    while (low < high) {
      int middle = (low + high + 1) / 2;
      if (runs[2 * middle] <= granule) low = middle;
      else high = middle - 1;
    }
    i64 place = (i64)runs[2 * low + 1] - runs[2 * low];
    return row + place * (dim / 2) + byte;
  }

  // Words of an entry from a byte of it on.
  __device__ void load(int entry, int byte, u32* words, int wanted) const {
    for (int i = 0; i < wanted; i++)
      words[i] = *(const u32*)at(start + entry * stride + byte + 4 * i);
  }
  __device__ void store(int entry, int byte, const u32* words, int wanted) const {
    for (int i = 0; i < wanted; i++)
      *(u32*)at(start + entry * stride + byte + 4 * i) = words[i];
  }
  __device__ float scale(int half) const { return fromHalf(*(const u16*)at(scales + 2 * half)); }
  __device__ void scale(int half, u16 bits) const { *(u16*)at(scales + 2 * half) = bits; }
};

static __device__ int columns(const Map& map, int pool) { return (map.width + pool - 1) / pool; }

static __device__ int entriesOf(const Map& map, int pool) {
  return (map.height + pool - 1) / pool * columns(map, pool);
}

static __device__ Part partOf(const int* table, const Map& map, u8* row, int part, int dim) {
  Part p;
  p.runs = table + map.run;
  p.row = row;
  p.count = map.runs;
  p.dim = dim;
  p.format = map.formats[part];
  p.entries = entriesOf(map, map.pool);
  p.start = part ? entryBytes(map.formats[0], dim) : 0;
  p.stride = entryBytes(map.formats[0], dim) + entryBytes(map.formats[1], dim);
  p.scales = p.entries * p.stride + (part ? scaleBytes(map.formats[0], p.entries, dim) : 0);
  return p;
}

// Maps to a workspace out [2, rows, total, dim] in the order of their entries, and to logs [total]
// the logarithms of the tokens that entries stand for; null for none. Each map is shared by
// `split` blocks. Grid: maps * split x rows * 2.
extern "C" __global__ void decode_maps(
    u8* arena, i64 rowBytes, const int* table, int heads, T* out, float* logs, i64 total, int rows,
    int dim, int brain, int split) {
  __shared__ float low[256], step[256];
  Map map = ((const Map*)(table + heads + 1))[blockIdx.x / split];
  int row = blockIdx.y / 2, part = blockIdx.y % 2;
  Part p = partOf(table, map, arena + row * rowBytes, part, dim);
  if (p.format == INT4) {
    for (int i = threadIdx.x; i < dim; i += blockDim.x) {
      low[i] = p.scale(i);
      step[i] = p.scale(dim + i);
    }
  }
  __syncthreads();
  int lanes = dim / 8;
  T* to = out + (((i64)part * rows + row) * total + map.start) * dim;
  for (int unit = blockIdx.x % split * blockDim.x + threadIdx.x; unit < p.entries * lanes;
       unit += split * blockDim.x) {
    int entry = unit / lanes, channel = unit % lanes * 8;
    Unit result;
    u32 words[4];
    if (p.format == FLOAT16) {
      p.load(entry, 2 * channel, words, 4);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        u16 bits = (u16)(words[j / 2] >> 16 * (j % 2));
        result.at[j] = narrow(brain ? fromBrain(bits) : fromHalf(bits));
      }
    } else if (p.format == INT8) {
      p.load(entry, channel, words, 2);
      float scale = p.scale(entry);
#pragma unroll
      for (int j = 0; j < 8; j++)
        result.at[j] = narrow(__fmul_rn(scale, (float)(signed char)(words[j / 4] >> 8 * (j % 4))));
    } else {
      p.load(entry, channel / 2, words, 1);
      bool own = p.format == INT4_ENTRY;
      float entryLow = own ? p.scale(2 * entry) : 0, entryStep = own ? p.scale(2 * entry + 1) : 0;
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float q = (float)(words[0] >> 4 * j & 15);
        float a = own ? entryLow : low[channel + j], b = own ? entryStep : step[channel + j];
        result.at[j] = narrow(__fadd_rn(a, __fmul_rn(b, q)));
      }
    }
    *(Unit*)(to + (i64)unit * 8) = result;
    if (logs && blockIdx.y == 0 && channel == 0) {
      int top = entry / columns(map, map.pool) * map.pool;
      int left = entry % columns(map, map.pool) * map.pool;
      int tokens = min(map.pool, map.height - top) * min(map.pool, map.width - left);
      logs[map.start + entry] = logf((float)tokens);
    }
  }
}

// Mean of 8 channels of an entry of a map; source holds entries of blocks of `from` tokens a side.
static __device__ void mean(
    const T* source, const Map& map, int entry, int from, int dim, float* x) {
  if (from == map.pool) {
    Unit only = *(const Unit*)(source + (i64)entry * dim);
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = widen(only.at[j]);
    return;
  }
  int top = entry / columns(map, map.pool) * map.pool;
  int left = entry % columns(map, map.pool) * map.pool;
  int bottom = min(top + map.pool, map.height), right = min(left + map.pool, map.width);
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = 0;
  for (int y = top; y < bottom; y += from) {
    for (int z = left; z < right; z += from) {
      float tokens = (float)(min(from, map.height - y) * min(from, map.width - z));
      Unit in = *(const Unit*)(source + (i64)(y / from * columns(map, from) + z / from) * dim);
#pragma unroll
      for (int j = 0; j < 8; j++) x[j] = __fadd_rn(x[j], __fmul_rn(tokens, widen(in.at[j])));
    }
  }
  float tokens = (float)((bottom - top) * (right - left));
#pragma unroll
  for (int j = 0; j < 8; j++) x[j] = __fdiv_rn(x[j], tokens);
}

// Maps from keys k and values v, whose rows lie rowStride elements apart: tokens of the map's head,
// headStride apart; or, where `sources` is a table, the entries that its maps have in a workspace.
// Each map is shared by dim / 8 blocks of 256. Grid: maps * dim / 8 x rows * 2.
extern "C" __global__ void __launch_bounds__(256) encode_maps(
    u8* arena, i64 rowBytes, const int* table, const int* sources, int heads, const T* k,
    const T* v, i64 rowStride, i64 headStride, int dim, int brain) {
  __shared__ float least[8][8], most[8][8];
  int lanes = dim / 8, chunk = blockIdx.x % lanes;
  Map map = ((const Map*)(table + heads + 1))[blockIdx.x / lanes];
  int row = blockIdx.y / 2, part = blockIdx.y % 2;
  Part p = partOf(table, map, arena + row * rowBytes, part, dim);
  const T* source = (part ? v : k) + row * rowStride;
  int from = 1;
  if (sources) {
    Map before = ((const Map*)(sources + heads + 1))[blockIdx.x / lanes];
    from = before.pool;
    source += (i64)before.start * dim;
  } else {
    source += map.head * headStride;
  }
  float x[8];
  if (p.format == INT4) {
    // Eight channels of all entries.
    float low[8], high[8], step[8];
#pragma unroll
    for (int j = 0; j < 8; j++) low[j] = 3.4e38f, high[j] = -3.4e38f;
    for (int entry = threadIdx.x; entry < p.entries; entry += 256) {
      mean(source + chunk * 8, map, entry, from, dim, x);
#pragma unroll
      for (int j = 0; j < 8; j++) low[j] = fminf(low[j], x[j]), high[j] = fmaxf(high[j], x[j]);
    }
    for (int offset = 16; offset > 0; offset >>= 1) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        low[j] = fminf(low[j], __shfl_xor_sync(~0u, low[j], offset));
        high[j] = fmaxf(high[j], __shfl_xor_sync(~0u, high[j], offset));
      }
    }
    if (threadIdx.x % 32 == 0) {
      for (int j = 0; j < 8; j++) {
        least[threadIdx.x / 32][j] = low[j];
        most[threadIdx.x / 32][j] = high[j];
      }
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 8; j++) {
      for (int warp = 0; warp < 8; warp++) {
        low[j] = fminf(low[j], least[warp][j]);
        high[j] = fmaxf(high[j], most[warp][j]);
      }
      u16 lowBits = halfBelow(low[j]);
      low[j] = fromHalf(lowBits);
      u16 stepBits = halfAbove(__fdiv_rn(__fsub_rn(high[j], low[j]), INT4_MAX));
      step[j] = divisor(fromHalf(stepBits));
      if (threadIdx.x == 0) {
        p.scale(chunk * 8 + j, lowBits);
        p.scale(dim + chunk * 8 + j, stepBits);
      }
    }
    for (int entry = threadIdx.x; entry < p.entries; entry += 256) {
      mean(source + chunk * 8, map, entry, from, dim, x);
      u32 word = 0;
#pragma unroll
      for (int j = 0; j < 8; j++)
        word |= (u32)rounded(__fdiv_rn(__fsub_rn(x[j], low[j]), step[j]), 0, INT4_MAX) << 4 * j;
      p.store(entry, chunk * 4, &word, 1);
    }
    return;
  }
  // Whole entries, one after another, by neighbouring lanes of a warp; all of it takes part.
  int units = p.entries * lanes;
  for (int first = chunk * 256; first < units; first += lanes * 256) {
    int unit = first + threadIdx.x;
    bool valid = unit < units;
    int entry = valid ? unit / lanes : 0, channel = unit % lanes * 8;
    mean(source + channel, map, entry, from, dim, x);
    u32 words[4] = {};
    if (p.format == FLOAT16) {
#pragma unroll
      for (int j = 0; j < 8; j++)
        words[j / 2] |= (u32)(brain ? toBrain(x[j]) : toHalf(saturated(x[j]))) << 16 * (j % 2);
      if (valid) p.store(entry, 2 * channel, words, 4);
      continue;
    }
    float low = x[0], high = x[0], largest = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      low = fminf(low, x[j]);
      high = fmaxf(high, x[j]);
      largest = fmaxf(largest, fabsf(x[j]));
    }
    for (int offset = lanes / 2; offset > 0; offset >>= 1) {
      low = fminf(low, __shfl_xor_sync(~0u, low, offset));
      high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    }
    if (p.format == INT8) {
      u16 bits = halfAbove(__fdiv_rn(largest, INT8_MAX));
      float step = divisor(fromHalf(bits));
#pragma unroll
      for (int j = 0; j < 8; j++) {
        int q = rounded(__fdiv_rn(x[j], step), -INT8_MAX, INT8_MAX);
        words[j / 4] |= (u32)(q & 255) << 8 * (j % 4);
      }
      if (valid) p.store(entry, channel, words, 2);
      if (valid && channel == 0) p.scale(entry, bits);
    } else {
      u16 lowBits = halfBelow(low);
      low = fromHalf(lowBits);
      u16 stepBits = halfAbove(__fdiv_rn(__fsub_rn(high, low), INT4_MAX));
      float step = divisor(fromHalf(stepBits));
#pragma unroll
      for (int j = 0; j < 8; j++)
        words[0] |= (u32)rounded(__fdiv_rn(__fsub_rn(x[j], low), step), 0, INT4_MAX) << 4 * j;
      if (valid) p.store(entry, channel / 2, words, 1);
      if (valid && channel == 0) p.scale(2 * entry, lowBits);
      if (valid && channel == 0) p.scale(2 * entry + 1, stepBits);
    }
  }
}

// Entries x [entries, dim] in 8 bits, each followed by its step: out [entries, dim + 2]. One thread
// a unit of x.
extern "C" __global__ void quantise(const T* x, u8* out, i64 units, int dim) {
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int lanes = dim / 8;
  bool valid = unit < units;
  Unit in = *(const Unit*)(x + (valid ? unit : 0) * 8);
  float largest = 0;
#pragma unroll
  for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(widen(in.at[j])));
  for (int offset = lanes / 2; offset > 0; offset >>= 1)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
  if (!valid) return;
  u16 bits = halfAbove(__fdiv_rn(largest, INT8_MAX));
  float step = divisor(fromHalf(bits));
  u8* to = out + unit / lanes * (dim + 2);
  int channel = unit % lanes * 8;
#pragma unroll
  for (int j = 0; j < 8; j++)
    to[channel + j] = (u8)rounded(__fdiv_rn(widen(in.at[j]), step), -INT8_MAX, INT8_MAX);
  if (channel == 0) *(u16*)(to + dim) = bits;
}

// Reads what quantise wrote. One thread a unit of out.
extern "C" __global__ void dequantise(const u8* bytes, T* out, i64 units, int dim) {
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int lanes = dim / 8;
  const u8* from = bytes + unit / lanes * (dim + 2);
  float step = fromHalf(*(const u16*)(from + dim));
  int channel = unit % lanes * 8;
  Unit result;
#pragma unroll
  for (int j = 0; j < 8; j++)
    result.at[j] = narrow(__fmul_rn(step, (float)(signed char)from[channel + j]));
  *(Unit*)(out + unit * 8) = result;
}
