// Stored maps: decoding to float32 and to tiles, encoding. After stored.cu.

struct alignas(16) Unit { T at[8]; };

static __device__ void narrowUnit(const float* x, T* to) {
#if ELEMENT > 0
  *(uint4*)to = pack8(x);
#else
  ((float4*)to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  ((float4*)to)[1] = make_float4(x[4], x[5], x[6], x[7]);
#endif
}

// Moved maps to float32 [2, rows, total, DIM]. Grid: moved * 2 * SPLIT x rows.
extern "C" __global__ void decode_maps(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    float* out, int total, int brain) {
  Step step = {table, heads, reads, moved, stored};
  int row = blockIdx.y;
  decodeMoved(step, blockIdx.x, row, gridDim.y, arena + row * rowBytes, out, total, brain);
}

#define TILE 128

// What heads read, in tiles [rows, 2, tiles, 128, DIM], as wide.cu takes them if `swizzled`: then
// DIM is 128 and T has 16 bits. What counts add to scores, in units of the logarithm to base 2, to
// added [tiles, 128]: where a head has no more entries, so little that nothing else counts. Further
// blocks decode moved maps to float32 [2, rows, total, DIM].
// Grid: tiles * 2 and shares of moved maps x any number, which share the rows.
extern "C" __global__ void __launch_bounds__(256) decode_tiles(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    T* out, float* added, int tiles, float* workspace, int total, int rows, int brain, int swizzled) {
  __shared__ Map maps[MAX_MAPS];
  __shared__ int2 places[TILE];
  __shared__ int found;
  Step step = {table, heads, reads, moved, stored};
  if (blockIdx.x >= 2 * tiles) {
    for (int row = blockIdx.y; row < rows; row += gridDim.y)
      decodeMoved(step, blockIdx.x - 2 * tiles, row, rows, arena + row * rowBytes, workspace, total,
                  brain);
    return;
  }
  int tile = blockIdx.x / 2, part = blockIdx.x % 2;
  const int* ends = step.tileEnds();
  for (int i = threadIdx.x; i < heads; i += 256)
    if (ends[i] <= tile && tile < ends[i + 1]) found = i;
  __syncthreads();
  int head = found, count = readMaps(step, head, maps);
  if (threadIdx.x < TILE) {
    int2 place = find(maps, count, (tile - ends[head]) * TILE + threadIdx.x);
    places[threadIdx.x] = place;
    if (part == 0 && blockIdx.y == 0)
      added[tile * TILE + threadIdx.x] =
          place.x < 0 ? -1e30f : log2f((float)maps[place.x].tokens(place.y));
  }
  __syncthreads();
  int lane = threadIdx.x % LANES;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    Decoder decoder(arena + row * rowBytes, part, lane * 8, brain);
    T* to = out + ((i64)(row * 2 + part) * tiles + tile) * (TILE * DIM);
#pragma unroll 4
    for (int entry = threadIdx.x / LANES; entry < TILE; entry += 256 / LANES) {
      int2 place = places[entry];
      float x[8] = {};
      if (place.x >= 0) decoder.unit(maps[place.x], place.y, x);
      // Swizzled, halves of the channels lie apart, and the units of 8 entries in turn.
      int at = swizzled ? lane / 8 * (TILE * 64) + entry * 64 + ((lane % 8) ^ (entry % 8)) * 8
                        : entry * DIM + lane * 8;
      narrowUnit(x, to + at);
    }
  }
}

// Entries of blocks of `from` tokens a side, of which a map's are means: keys or values, or what
// moved maps were decoded to. Functions are few and short on purpose: the compiler runs at first use.
struct Source {
  const T* tokens;
  const float* decoded;
  int from;

  // 8 channels of an entry, from one of them on.
  __device__ void unit(int entry, int channel, float* x) const {
    i64 at = (i64)entry * DIM + channel;
#if ELEMENT > 0
    if (!decoded) {
      uint4 in = *(const uint4*)(tokens + at);
      u32 words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
      for (int j = 0; j < 8; j++) x[j] = widen((T)(words[j / 2] >> 16 * (j % 2)));
      return;
    }
#endif
    const float4* in = (const float4*)((ELEMENT > 0 || decoded ? decoded : (const float*)tokens) + at);
    float4 low = in[0], high = in[1];
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
  }

  __device__ void mean(const Map& map, int entry, int channel, float* x) const {
    int top = entry / map.columns * map.pool, left = entry % map.columns * map.pool;
    int bottom = min(top + map.pool, map.height), right = min(left + map.pool, map.width);
    int columns = (map.width + from - 1) / from;
    if (from == map.pool) {
      unit(entry, channel, x);
      return;
    }
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = 0;
    for (int y = top; y < bottom; y += from) {
#pragma unroll 1
      for (int z = left; z < right; z += from) {
        float tokens = (float)(min(from, map.height - y) * min(from, map.width - z)), in[8];
        unit(y / from * columns + z / from, channel, in);
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = __fadd_rn(x[j], __fmul_rn(tokens, in[j]));
      }
    }
    float tokens = (float)((bottom - top) * (right - left));
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = __fdiv_rn(x[j], tokens);
  }
};

// A map is shared by chunks: of 16 channels where those have scales of their own, else of entries.
#define WIDTH (DIM < 16 ? DIM : 16)
#define CHUNKS (DIM / WIDTH)

// Channels with scales of their own, of all entries of a map, by a warp or by 8 of them.
static __device__ void encodeChannels(
    u8* row, const Map& map, int part, int chunk, const Source& source, int threads) {
  __shared__ float least[8][WIDTH], most[8][WIDTH];
  const int lanes = WIDTH / 8;
  int thread = threadIdx.x % threads, lane = thread % lanes, channel = chunk * WIDTH + lane * 8;
  float low[8], high[8];
  Divisor steps[8];
#pragma unroll
  for (int j = 0; j < 8; j++) low[j] = 3.4e38f, high[j] = -3.4e38f;
  // First their range, then the numbers.
#pragma unroll 1
  for (int pass = 0; pass < 2; pass++) {
#pragma unroll 1
    for (int entry = thread / lanes; entry < map.entries; entry += threads / lanes) {
      float x[8];
      source.mean(map, entry, channel, x);
      if (pass == 0) {
#pragma unroll
        for (int j = 0; j < 8; j++) low[j] = fminf(low[j], x[j]), high[j] = fmaxf(high[j], x[j]);
      } else {
        u32 word = 0;
#pragma unroll
        for (int j = 0; j < 8; j++)
          word |= (u32)steps[j].of(__fsub_rn(x[j], low[j]), 0, INT4_MAX) << 4 * j;
        map.store<1>(row, map.entryAt(part, entry) + channel / 2, &word);
      }
    }
    if (pass == 1) return;
#pragma unroll 1
    for (int offset = 16; offset >= lanes; offset /= 2) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        low[j] = fminf(low[j], __shfl_xor_sync(~0u, low[j], offset));
        high[j] = fmaxf(high[j], __shfl_xor_sync(~0u, high[j], offset));
      }
    }
    if (threads > 32) {
      if (thread % 32 < lanes) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          least[thread / 32][lane * 8 + j] = low[j];
          most[thread / 32][lane * 8 + j] = high[j];
        }
      }
      __syncthreads();
#pragma unroll 1
      for (int warp = 0; warp < threads / 32; warp++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          low[j] = fminf(low[j], least[warp][lane * 8 + j]);
          high[j] = fmaxf(high[j], most[warp][lane * 8 + j]);
        }
      }
    }
#pragma unroll
    for (int j = 0; j < 8; j++) {
      u16 lowBits = halfBelow(low[j]);
      low[j] = fromHalf(lowBits);
      u16 stepBits = halfAbove(__fdiv_rn(__fsub_rn(high[j], low[j]), INT4_MAX));
      steps[j] = Divisor(fromHalf(stepBits));
      if (thread < lanes) {
        map.scale(row, part, channel + j, lowBits);
        map.scale(row, part, DIM + channel + j, stepBits);
      }
    }
  }
}

// Whole entries, a chunk of a map's, by neighbouring lanes of a warp, all of which take part.
static __device__ void encodeEntries(
    u8* row, const Map& map, int part, int chunk, const Source& source, int threads, bool brain) {
  int thread = threadIdx.x % threads, format = map.format(part), channel = thread % LANES * 8;
  int end = map.entries * (chunk + 1) / CHUNKS;
#pragma unroll 1
  for (int first = map.entries * chunk / CHUNKS; first < end; first += threads / LANES) {
    int entry = first + thread / LANES;
    bool valid = entry < end;
    float x[8];
    source.mean(map, valid ? entry : first, channel, x);
    int byte = map.entryAt(part, entry);
    u32 words[4] = {};
    if (format == FLOAT16) {
#pragma unroll
      for (int j = 0; j < 8; j++)
        words[j / 2] |= (u32)(brain ? toBrain(x[j]) : toHalf(saturated(x[j]))) << 16 * (j % 2);
      if (valid) map.store<4>(row, byte + 2 * channel, words);
      continue;
    }
    float low = x[0], high = x[0];
#pragma unroll
    for (int j = 1; j < 8; j++) low = fminf(low, x[j]), high = fmaxf(high, x[j]);
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) {
      low = fminf(low, __shfl_xor_sync(~0u, low, offset));
      high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    }
    // Of 8 bits the low is 0.
    bool is8 = format == INT8;
    float range = is8 ? fmaxf(fabsf(low), fabsf(high)) : 0;
    u16 lowBits = is8 ? (u16)0 : halfBelow(low);
    low = fromHalf(lowBits);
    if (!is8) range = __fsub_rn(high, low);
    u16 bits = halfAbove(__fdiv_rn(range, is8 ? INT8_MAX : INT4_MAX));
    Divisor step(fromHalf(bits));
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int number = step.of(is8 ? x[j] : __fsub_rn(x[j], low), is8 ? -INT8_MAX : 0,
                           is8 ? INT8_MAX : INT4_MAX);
      if (is8) words[j / 4] |= (u32)(number & 255) << 8 * (j % 4);
      else words[0] |= (u32)number << 4 * j;
    }
    if (!valid) continue;
    if (is8) {
      map.store<2>(row, byte + channel, words);
      if (channel == 0) map.scale(row, part, entry, bits);
    } else {
      map.store<1>(row, byte + channel / 2, words);
      if (channel == 0) map.scale(row, part, 2 * entry, lowBits);
      if (channel == 0) map.scale(row, part, 2 * entry + 1, bits);
    }
  }
}

// Stores maps: the first `moved` from what decoding left in a workspace [2, rows, total, DIM], the
// others from keys k and values v, whose rows lie rowStride and heads headStride elements apart. Of
// the store order, the first `large` take a block for each row, part and chunk, the others a warp.
// Grid: blocks of both.
extern "C" __global__ void __launch_bounds__(256, 2) encode_maps(
    u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    int large, const float* workspace, int total, const T* k, const T* v, i64 rowStride,
    i64 headStride, int rows, int brain) {
  Step step = {table, heads, reads, moved, stored};
  int each = CHUNKS * 2 * rows, blocks = large * each, item = blockIdx.x, threads = 256;
  if (item >= blocks) {
    item = blocks + (item - blocks) * 8 + threadIdx.x / 32;
    threads = 32;
    if (item >= stored * each) return;
  }
  int chunk = item % CHUNKS, part = item / CHUNKS % 2, row = item / CHUNKS / 2 % rows;
  int i = step.storeOrder()[item / CHUNKS / 2 / rows];
  Map map;
  map.read(step, step.reads + step.moved + i);
  Source source = {(part ? v : k) + row * rowStride + map.head * headStride, nullptr, 1};
  if (i < moved) {
    Map before;
    before.read(step, step.reads + i);
    source.decoded = workspace + (((i64)part * rows + row) * total + before.head) * DIM;
    source.from = before.pool;
  }
  arena += row * rowBytes;
  if (map.format(part) == INT4) encodeChannels(arena, map, part, chunk, source, threads);
  else encodeEntries(arena, map, part, chunk, source, threads, brain);
}

// Entries x [entries, DIM] in 8 bits, each followed by its step: out [entries, DIM + 2]. One thread
// a unit of x.
extern "C" __global__ void quantise(const T* x, u8* out, i64 units) {
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  bool valid = unit < units;
  Unit in = *(const Unit*)(x + (valid ? unit : 0) * 8);
  float largest = 0;
#pragma unroll
  for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(widen(in.at[j])));
  for (int offset = LANES / 2; offset > 0; offset >>= 1)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
  if (!valid) return;
  u16 bits = halfAbove(__fdiv_rn(largest, INT8_MAX));
  Divisor step(fromHalf(bits));
  u8* to = out + unit / LANES * (DIM + 2);
  int channel = unit % LANES * 8;
#pragma unroll
  for (int j = 0; j < 8; j++)
    to[channel + j] = (u8)step.of(widen(in.at[j]), -INT8_MAX, INT8_MAX);
  if (channel == 0) *(u16*)(to + DIM) = bits;
}

// Reads what quantise wrote. One thread a unit of out.
extern "C" __global__ void dequantise(const u8* bytes, T* out, i64 units) {
  i64 unit = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  const u8* from = bytes + unit / LANES * (DIM + 2);
  float step = fromHalf(*(const u16*)(from + DIM));
  int channel = unit % LANES * 8;
  Unit result;
#pragma unroll
  for (int j = 0; j < 8; j++)
    result.at[j] = narrow(__fmul_rn(step, (float)(signed char)from[channel + j]));
  *(Unit*)(out + unit * 8) = result;
}
