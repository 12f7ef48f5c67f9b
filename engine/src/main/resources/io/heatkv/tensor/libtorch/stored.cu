// Maps of tokens as they are stored in an arena of bytes: means over blocks, 16, 8 and 4 bits.
//
// Comes before maps.cu, tile.cu and wide.cu, with ELEMENT 0 (float32), 1 (float16) or 2
// (bfloat16), the type T of keys and values, and DIM, the channels of a head, a power of two from 8
// to 256. The definition is MapCodec: all arithmetic is float32, one rounding an operation. Threads
// move units of 8 channels; a granule is DIM / 2 bytes, so that no word of 4 bytes crosses from one
// to another.

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define GRANULE (DIM / 2)
#define LANES (DIM / 8)

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
#define PACK "cvt.rn.f16x2.f32 "
static __device__ float widen(T x) { return fromHalf(x); }
static __device__ T narrow(float x) { return toHalf(x); }
#else
typedef u16 T;
#define PACK "cvt.rn.bf16x2.f32 "
static __device__ float widen(T x) { return fromBrain(x); }
static __device__ T narrow(float x) { return toBrain(x); }
#endif

#if ELEMENT > 0
static __device__ u32 pack(float low, float high) {
#if __CUDA_ARCH__ >= 800
  u32 both;
  asm(PACK "%0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  return narrow(low) | (u32)narrow(high) << 16;
#endif
}
static __device__ uint4 pack8(const float* x) {
  return make_uint4(pack(x[0], x[1]), pack(x[2], x[3]), pack(x[4], x[5]), pack(x[6], x[7]));
}
#endif

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

// Divides by steps, which are half precision.
struct Divisor {
  float step, inverse;

  __device__ explicit Divisor(float of) : step(of == 0 ? 1 : of), inverse(__frcp_rn(step)) {}

  // The quotient of x, rounded to an integer from least to most; exact as a division's.
  __device__ int of(float x, float least, float most) const {
    float near = x * inverse, integer = rintf(near);
    if (fabsf(fabsf(near - integer) - 0.5f) < 1e-3f) integer = rintf(__fdiv_rn(x, step));
    return (int)fmaxf(least, fminf(most, integer));
  }
};

#define MAX_MAPS 64
// Of the largest entry, and the logarithm to base 2.
#define MOST_TOKENS 64.0f
#define MOST_TOKENS_LOG 6

// Of NumberFormat.
enum { FLOAT16, INT8, INT4, INT4_ENTRY };

static __device__ int entryBytes(int format) {
  return format == FLOAT16 ? 2 * DIM : format == INT8 ? DIM : DIM / 2;
}

static __device__ int scaleBytes(int format, int entries) {
  if (format == INT4) return 4 * DIM;
  int each = format == INT8 ? 2 : format == INT4_ENTRY ? 4 : 0;
  return (each * entries + GRANULE - 1) / GRANULE * GRANULE;
}

// What a layer does, see StoredStep for its table.
struct Step {
  const int* table;
  int heads, reads, moved, stored;

  __device__ const int* mapEnds() const { return table; }
  __device__ const int* tileEnds() const { return table + heads + 1; }
  __device__ const int* headOrder() const { return table + 2 * heads + 2; }
  __device__ const int* storeOrder() const { return table + 3 * heads + 2; }
  // The maps that are read, those moved from, those stored.
  __device__ const int* map(int i) const { return storeOrder() + stored + 3 * i; }
};

// A map: its entries' bytes, those of a key and of a value after another, then their scales.
struct Map {
  int first, entries, head, height, width, pool, columns, stride;
  int keys, values, valueStart, keyScales, valueScales;
  const int* runs;
  // Of runs, and where the first begins.
  int count, start;

  __device__ void read(const Step& step, int i) {
    const int* fields = step.map(i);
    u32 shape = fields[0];
    head = fields[1];
    runs = step.table + fields[2];
    count = (fields[5] - fields[2]) / 2;
    start = runs[1];
    height = shape & 0xfff;
    width = shape >> 12 & 0xfff;
    pool = shape >> 24 & 0xf;
    columns = (width + pool - 1) / pool;
    entries = (height + pool - 1) / pool * columns;
    keys = shape >> 28 & 3;
    values = shape >> 30;
    valueStart = entryBytes(keys);
    stride = valueStart + entryBytes(values);
    keyScales = entries * stride;
    valueScales = keyScales + scaleBytes(keys, entries);
  }

  // Tokens that an entry stands for.
  __device__ int tokens(int entry) const {
    int top = entry / columns * pool, left = entry % columns * pool;
    return min(pool, height - top) * min(pool, width - left);
  }

  // Where a byte of the map lies in a row.
  __device__ i64 at(int byte) const {
    if (count == 1) return (i64)start * GRANULE + byte;
    int granule = byte / GRANULE, low = 0, high = count - 1;
    while (low < high) {
      int middle = (low + high + 1) / 2;
      if (runs[2 * middle] <= granule) low = middle;
      else high = middle - 1;
    }
    return ((i64)runs[2 * low + 1] - runs[2 * low]) * GRANULE + byte;
  }

  // Words from a byte on that is a multiple of theirs.
  template <int words> __device__ void load(const u8* row, int byte, u32* to) const {
#if GRANULE >= 16
    const u8* from = row + at(byte);
    if (words == 4) {
      uint4 x = *(const uint4*)from;
      to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
    } else if (words == 2) {
      uint2 x = *(const uint2*)from;
      to[0] = x.x, to[1] = x.y;
    } else {
      to[0] = *(const u32*)from;
    }
#else
    for (int i = 0; i < words; i++) to[i] = *(const u32*)(row + at(byte + 4 * i));
#endif
  }
  template <int words> __device__ void store(u8* row, int byte, const u32* from) const {
#if GRANULE >= 16
    u8* to = row + at(byte);
    if (words == 4) *(uint4*)to = make_uint4(from[0], from[1], from[2], from[3]);
    else if (words == 2) *(uint2*)to = make_uint2(from[0], from[1]);
    else *(u32*)to = from[0];
#else
    for (int i = 0; i < words; i++) *(u32*)(row + at(byte + 4 * i)) = from[i];
#endif
  }

  __device__ int bytes() const { return valueScales + scaleBytes(values, entries); }

  // Where all bytes lie one after another.
  __device__ void copied() { count = 1, start = 0; }

  // Of the keys (0) or the values (1).
  __device__ int format(int part) const { return part ? values : keys; }
  __device__ int scales(int part) const { return part ? valueScales : keyScales; }
  __device__ int entryAt(int part, int entry) const {
    return (part ? valueStart : 0) + entry * stride;
  }
  __device__ void scale(u8* row, int part, int half, u16 bits) const {
    *(u16*)(row + at(scales(part) + 2 * half)) = bits;
  }
};

// Decodes units of 8 channels, all from the same channel on.
struct Decoder {
  const u8* row;
  int part, channel;
  bool brain;
  // Of the channels, where a map has lows and steps for each.
  const int* known;
  float low[8], step[8];

  __device__ Decoder(const u8* row, int part, int channel, bool brain)
      : row(row), part(part), channel(channel), brain(brain), known(nullptr) {}

  __device__ void unit(const Map& map, int entry, float* x) {
    u32 words[4];
    fetch(map, entry, words);
    decode(map, words, x);
  }

  // What a unit is decoded from, its entry's scales last.
  __device__ void fetch(const Map& map, int entry, u32* words) const {
    int format = map.format(part), byte = map.entryAt(part, entry), scales = map.scales(part);
    if (format == FLOAT16) {
      map.load<4>(row, byte + 2 * channel, words);
    } else if (format == INT8) {
      map.load<2>(row, byte + channel, words);
      words[2] = *(const u16*)(row + map.at(scales + 2 * entry));
    } else {
      map.load<1>(row, byte + channel / 2, words);
      if (format == INT4_ENTRY) map.load<1>(row, scales + 4 * entry, words + 1);
    }
  }

  __device__ void decode(const Map& map, const u32* words, float* x) {
    int format = map.format(part);
    if (format == FLOAT16) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        u16 bits = (u16)(words[j / 2] >> 16 * (j % 2));
        x[j] = brain ? fromBrain(bits) : fromHalf(bits);
      }
    } else if (format == INT8) {
      float scale = fromHalf((u16)words[2]);
#pragma unroll
      for (int j = 0; j < 8; j++)
        x[j] = __fmul_rn(scale, (float)(signed char)(words[j / 4] >> 8 * (j % 4)));
    } else if (format == INT4_ENTRY) {
      float own = fromHalf((u16)words[1]), each = fromHalf((u16)(words[1] >> 16));
#pragma unroll
      for (int j = 0; j < 8; j++)
        x[j] = __fadd_rn(own, __fmul_rn(each, (float)(words[0] >> 4 * j & 15)));
    } else {
      if (known != map.runs) {
        known = map.runs;
        u32 halves[4];
        map.load<4>(row, map.scales(part) + 2 * channel, halves);
#pragma unroll
        for (int j = 0; j < 8; j++) low[j] = fromHalf((u16)(halves[j / 2] >> 16 * (j % 2)));
        map.load<4>(row, map.scales(part) + 2 * (DIM + channel), halves);
#pragma unroll
        for (int j = 0; j < 8; j++) step[j] = fromHalf((u16)(halves[j / 2] >> 16 * (j % 2)));
      }
#pragma unroll
      for (int j = 0; j < 8; j++)
        x[j] = __fadd_rn(low[j], __fmul_rn(step[j], (float)(words[0] >> 4 * j & 15)));
    }
  }
};

// The maps that a head reads, by all threads of a block; returns their number.
static __device__ int readMaps(const Step& step, int head, Map* maps) {
  int begin = step.mapEnds()[head], count = step.mapEnds()[head + 1] - begin;
  for (int i = threadIdx.x; i < count; i += blockDim.x) maps[i].read(step, begin + i);
  __syncthreads();
  if (threadIdx.x == 0) {
    int first = 0;
    for (int i = 0; i < count; i++) {
      maps[i].first = first;
      first += maps[i].entries;
    }
  }
  __syncthreads();
  return count;
}

// An entry of a head: its map and its place there, or map -1 where it has no more.
static __device__ int2 find(const Map* maps, int count, int entry) {
  for (int i = 0; i < count; i++)
    if (entry < maps[i].first + maps[i].entries) return make_int2(i, entry - maps[i].first);
  return make_int2(-1, 0);
}

// Blocks that share a map which is moved.
#define SPLIT 4

// Bytes of moved maps, in a workspace of `total` granules a row: a map's, and its scales', lie there
// one after another, from the granule on that takes the place of its head.
static __device__ i64 copyAt(int row, int total, const Map& map) {
  return ((i64)row * total + map.head) * GRANULE;
}

// Copies them; `item` counts maps and their shares of a row.
static __device__ void copyMoved(
    const Step& step, int item, int row, const u8* arena, i64 rowBytes, u8* workspace, int total) {
  const int words = GRANULE < 16 ? 1 : 4;
  int i = item / SPLIT;
  if (i >= step.moved) return;
  Map from, to;
  from.read(step, step.reads + i);
  to = from;
  to.copied();
  arena += row * rowBytes;
  workspace += copyAt(row, total, from);
#pragma unroll 4
  for (int byte = (item % SPLIT * blockDim.x + threadIdx.x) * 4 * words; byte < from.bytes();
       byte += SPLIT * blockDim.x * 4 * words) {
    u32 moved[words];
    from.load<words>(arena, byte, moved);
    to.store<words>(workspace, byte, moved);
  }
}
