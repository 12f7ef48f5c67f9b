// Stored maps: decoding to float32 and to tiles, encoding. After stored.cu.

struct alignas(16) Unit { T at[8]; };

static __device__ void narrowUnit(const float* x, T* to) {
#if ELEMENT > 0
  *(uint4*)to = pack8(x);
#else
  writeWide(x, to);
#endif
}

// Moved maps to float32 [2, rows, total, DIM]. Grid: moved * 2 * SPLIT x rows.
extern "C" __global__ void decode_maps(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    float* out, int total, int brain) {
  awaitEarlier();
  Step step = {table, heads, reads, moved, stored};
  int row = blockIdx.y;
  decodeMoved(step, blockIdx.x, row, gridDim.y, arena + row * rowBytes, out, total, brain);
}

#define TILE 128
// Entries of a thread that are read before the first of them is decoded.
#define TOGETHER 4

// What heads read, in tiles [rows, 2, tiles, 128, DIM]. What counts add to scores, in units of the
// logarithm to base 2, to added [tiles, 128]: where a head has no more entries, so little that
// nothing else counts. If `swizzled`, as wide.cu takes them: DIM is 128, T has 16 bits, `added` gets
// counts as shares of the largest, values are multiplied by them, and where a head has no more
// entries, its last key with the count 0 fills the tile. Further blocks decode moved maps to float32
// [2, rows, total, DIM].
// Grid: tiles * 2 and shares of moved maps x any number, which share the rows.
extern "C" __global__ void __launch_bounds__(256) decode_tiles(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    T* out, float* added, int tiles, float* workspace, int total, int rows, int brain, int swizzled) {
  awaitEarlier();
  __shared__ Map maps[MAX_MAPS];
  __shared__ int2 places[TILE];
  __shared__ float shares[TILE];
  __shared__ int found;
  Step step = {table, heads, reads, moved, stored};
  int tile = blockIdx.x / 2, part = blockIdx.x % 2, first = 0, end = TILE;
  bool isTile = tile < tiles;
  if (isTile) {
    const int* ends = step.tileEnds();
    for (int i = threadIdx.x; i < heads; i += 256)
      if (ends[i] <= tile && tile < ends[i + 1]) found = i;
    __syncthreads();
    int head = found, count = readMaps(step, head, maps);
    if (threadIdx.x < TILE) {
      int entry = (tile - ends[head]) * TILE + threadIdx.x;
      int last = maps[count - 1].first + maps[count - 1].entries - 1;
      int2 place = find(maps, count, swizzled ? min(entry, last) : entry);
      float tokens = entry > last ? 0 : (float)maps[place.x].tokens(place.y);
      float share = tokens * (1 / MOST_TOKENS);
      places[threadIdx.x] = place;
      shares[threadIdx.x] = part == 1 && swizzled ? share : 1;
      if (part == 0 && blockIdx.y == 0)
        added[tile * TILE + threadIdx.x] = swizzled     ? share
                                           : tokens > 0 ? log2f(tokens)
                                                        : -1e30f;
    }
  } else {
    int item = blockIdx.x - 2 * tiles, share = item % SPLIT;
    part = item / SPLIT % 2;
    if (threadIdx.x == 0) maps[0].read(step, reads + item / (2 * SPLIT));
    __syncthreads();
    first = maps[0].entries * share / SPLIT, end = maps[0].entries * (share + 1) / SPLIT;
  }
  __syncthreads();
  int lane = threadIdx.x % LANES;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    Decoder decoder(arena + row * rowBytes, part, lane * 8, brain);
    T* to = out + ((i64)(row * 2 + part) * tiles + tile) * (TILE * DIM);
    float* wide = workspace + (((i64)part * rows + row) * total + maps[0].head) * DIM + lane * 8;
#pragma unroll 1
    for (int i = first + threadIdx.x / LANES; i < end; i += TOGETHER * 256 / LANES) {
      u32 words[TOGETHER][4];
#pragma unroll
      for (int n = 0; n < TOGETHER; n++) {
        int entry = i + n * 256 / LANES;
        if (entry >= end) continue;
        int2 place = isTile ? places[entry] : make_int2(0, entry);
        if (place.x >= 0) decoder.fetch(maps[place.x], place.y, words[n]);
      }
#pragma unroll
      for (int n = 0; n < TOGETHER; n++) {
        int entry = i + n * 256 / LANES;
        if (entry >= end) break;
        int map = isTile ? places[entry].x : 0;
        float x[8] = {};
        if (map >= 0) decoder.decode(maps[map], words[n], x);
        // Swizzled, halves of the channels lie apart, and the units of 8 entries in turn.
        int at = swizzled ? lane / 8 * (TILE * 64) + entry * 64 + ((lane % 8) ^ (entry % 8)) * 8
                          : entry * DIM + lane * 8;
        if (!isTile) {
          writeWide(x, wide + (i64)entry * DIM);
          continue;
        }
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] *= shares[entry];
        narrowUnit(x, to + at);
      }
    }
  }
}

// Copies that a thread has under way, in slots of its own: so it waits for memory once for many of
// them, though no loop is unrolled, which would take the compiler long at first use.
#define SLOTS 8

static __device__ void beginCopy(uint4* to, const uint4* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;"
               :: "r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
#else
  *to = *from;
#endif
}

static __device__ void endGroup() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Until no more than so many groups are under way.
template <int left> static __device__ void awaitGroups() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" :: "n"(left) : "memory");
#endif
}

// Units of what is encoded, tokens so far apart, each the mean of `from` tokens a side: keys or values,
// or what moved maps were decoded to, float32 if `isWide`.
struct Source {
  const u8* units;
  bool isWide;
  int from, apart;
};

// 8 channels of a thread's entries, every step-th up to an end: the units of their blocks, which
// are copied ahead.
struct Stream {
  const u8* units;
  bool isWide;
  int pitch, from, height, width, side, columns, across, step, stepTop, stepLeft, end;
  // The next unit to copy, in its entry's block, and its slot; the tokens that those under way
  // stand for, a byte each, 0 past an edge.
  int entry, top, left, y, z, slot;
  u64 counts;

  __device__ Stream(const Source& source, const Map& map, int channel, int step, int end)
      : isWide(source.isWide), from(source.from), height(map.height), width(map.width),
        side(map.pool / from), step(step), end(end) {
    int bytes = isWide ? 4 : sizeof(T);
    units = source.units + channel * bytes;
    pitch = source.apart * bytes;
    // Where nothing is pooled, edges don't matter.
    if (side == 1) from = height = 1, width = map.entries;
    columns = (width + from - 1) / from;
    across = (columns + side - 1) / side * side;
    stepTop = step / (across / side) * side;
    stepLeft = step % (across / side) * side;
  }

  __device__ int ahead() const { return isWide ? SLOTS / 2 : SLOTS; }

  __device__ void begin(int first) {
    entry = first;
    top = first / (across / side) * side;
    left = first % (across / side) * side;
    y = z = slot = 0;
    counts = 0;
#pragma unroll 1
    for (int i = 1; i < ahead(); i++) copy();
  }

  __device__ static uint4* at(int slot) {
    __shared__ uint4 slots[SLOTS][256];
    return &slots[slot][threadIdx.x];
  }

  __device__ void copy() {
    int row = top + y, column = left + z;
    int tall = min(from, height - row * from), wide = min(from, width - column * from), count = 0;
    if (entry < end && tall > 0 && wide > 0) {
      count = tall * wide;
      const uint4* in = (const uint4*)(units + (i64)(row * columns + column) * pitch);
      beginCopy(at(slot), in);
      if (isWide) beginCopy(at(slot + SLOTS / 2), in + 1);
    }
    endGroup();
    counts = counts >> 8 | (u64)count << 8 * (ahead() - 1);
    slot = (slot + 1) & (ahead() - 1);
    if (++z < side) return;
    z = 0;
    if (++y < side) return;
    y = 0;
    entry += step;
    top += stepTop;
    left += stepLeft;
    if (left >= across) left -= across, top += side;
  }

  // The mean of the next entry before the end.
  __device__ void mean(float* x) {
    int tokens = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = 0;
#pragma unroll 1
    for (int unit = side * side; unit > 0; unit--) {
      copy();
      if (isWide) awaitGroups<SLOTS / 2 - 1>();
      else awaitGroups<SLOTS - 1>();
      // The oldest, after which the next one is copied to its slot.
      int count = (int)counts & 255;
      if (count == 0) continue;
      float in[8];
      take(in);
      tokens += count;
      if (side == 1) {
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = in[j];
      } else {
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = __fadd_rn(x[j], __fmul_rn((float)count, in[j]));
      }
    }
    if (side == 1) return;
    // A power of two has an inverse, which is faster to multiply by.
    if ((tokens & (tokens - 1)) == 0) {
      float part = __frcp_rn((float)tokens);
#pragma unroll
      for (int j = 0; j < 8; j++) x[j] = __fmul_rn(x[j], part);
    } else {
#pragma unroll
      for (int j = 0; j < 8; j++) x[j] = __fdiv_rn(x[j], (float)tokens);
    }
  }

  __device__ void take(float* x) const {
    uint4 in = *at(slot);
#if ELEMENT > 0
    if (!isWide) {
      u32 words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
      for (int j = 0; j < 8; j++) x[j] = widen((T)(words[j / 2] >> 16 * (j % 2)));
      return;
    }
#endif
    uint4 more = *at(slot + SLOTS / 2);
    u32 words[8] = {in.x, in.y, in.z, in.w, more.x, more.y, more.z, more.w};
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = __uint_as_float(words[j]);
  }
};

// What is added to a number to round it to an integer, which the last bits of the sum are.
#define MAGIC 12582912.0f

// Quotients of 8 numbers by steps with the given inverses, rounded to integers from least to most,
// as the bits of MAGIC plus each; exact as divisions are, to which those near a half are left.
static __device__ void divide8(
    const float* x, const float* inverses, const float* steps, int each, float least, float most,
    u32* bits) {
  float q[8], apart = 0;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    q[j] = fmaf(x[j], inverses[j * each], MAGIC);
    apart = fmaxf(apart, fabsf(fmaf(x[j], inverses[j * each], MAGIC - q[j])));
  }
  if (apart > 0.49996f) {
#pragma unroll
    for (int j = 0; j < 8; j++) q[j] = rintf(__fdiv_rn(x[j], steps[j * each])) + MAGIC;
  }
#pragma unroll
  for (int j = 0; j < 8; j++)
    bits[j] = __float_as_uint(fmaxf(least + MAGIC, fminf(most + MAGIC, q[j])));
}

// 4 bits each of what divide8 gives; the first bits of MAGIC add up to a constant.
static __device__ u32 nibbles(const u32* bits) {
  u32 word = 0x4b400000u * 0xeeeeeeefu;
#pragma unroll
  for (int j = 0; j < 8; j++) word += bits[j] << 4 * j;
  return word;
}

// A map is shared by chunks: of 16 channels where those have scales of their own, else of entries.
#define WIDTH (DIM < 16 ? DIM : 16)
#define CHUNKS (DIM / WIDTH)

// Channels with scales of their own, of all entries of a map, by a warp or by 8 of them.
static __device__ void encodeChannels(
    u8* row, const Map& map, int part, int chunk, const Source& source, int threads) {
  __shared__ float least[8][WIDTH], most[8][WIDTH];
  // Of each warp, though those of a block have the same.
  __shared__ float lows[8][WIDTH], steps[8][WIDTH], inverses[8][WIDTH];
  const int lanes = WIDTH / 8;
  int warp = threadIdx.x / 32, thread = threadIdx.x % threads, lane = thread % lanes * 8;
  int first = thread / lanes, step = threads / lanes;
  Stream stream(source, map, chunk * WIDTH + lane, step, map.entries);
  stream.begin(first);
  float low[8], high[8], x[8];
#pragma unroll
  for (int j = 0; j < 8; j++) low[j] = 3.4e38f, high[j] = -3.4e38f;
  // First their range, then the numbers. A thread's only entry is still at hand.
  bool isOnly = first + step >= map.entries;
#pragma unroll 1
  for (int pass = 0; pass < 2; pass++) {
#pragma unroll 1
    for (int entry = first; entry < map.entries; entry += step) {
      if (pass == 0 || !isOnly) stream.mean(x);
      if (pass == 0) {
#pragma unroll
        for (int j = 0; j < 8; j++) low[j] = fminf(low[j], x[j]), high[j] = fmaxf(high[j], x[j]);
      } else {
        u32 numbers[8];
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = __fsub_rn(x[j], low[j]);
        divide8(x, high, steps[warp] + lane, 1, 0, INT4_MAX, numbers);
        u32 word = nibbles(numbers);
        map.store<1>(row, map.entryAt(part, entry) + (chunk * WIDTH + lane) / 2, &word);
      }
    }
    if (pass == 1) return;
    if (!isOnly) stream.begin(first);
#pragma unroll 1
    for (int offset = 16; offset >= lanes; offset /= 2) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        low[j] = fminf(low[j], __shfl_xor_sync(~0u, low[j], offset));
        high[j] = fmaxf(high[j], __shfl_xor_sync(~0u, high[j], offset));
      }
    }
    if (threadIdx.x % 32 < lanes) {
#pragma unroll
      for (int j = 0; j < 8; j++) least[warp][lane + j] = low[j], most[warp][lane + j] = high[j];
    }
    if (threads > 32) __syncthreads();
    else __syncwarp();
    int own = threadIdx.x % 32;
    if (own < WIDTH) {
      float bottom = least[warp][own], top = most[warp][own];
#pragma unroll 1
      for (int i = 0; i < 8 && threads > 32; i++)
        bottom = fminf(bottom, least[i][own]), top = fmaxf(top, most[i][own]);
      u16 lowBits = halfBelow(bottom);
      bottom = fromHalf(lowBits);
      u16 stepBits = halfAbove(__fdiv_rn(__fsub_rn(top, bottom), INT4_MAX));
      Divisor divisor(fromHalf(stepBits));
      lows[warp][own] = bottom, steps[warp][own] = divisor.step;
      inverses[warp][own] = divisor.inverse;
      if (thread < WIDTH) {
        map.scale(row, part, chunk * WIDTH + own, lowBits);
        map.scale(row, part, DIM + chunk * WIDTH + own, stepBits);
      }
    }
    __syncwarp();
    // From here on `high` has inverses of the steps.
#pragma unroll
    for (int j = 0; j < 8; j++) low[j] = lows[warp][lane + j], high[j] = inverses[warp][lane + j];
  }
}

// Whole entries, a chunk of a map's, by neighbouring lanes of a warp, all of which take part.
static __device__ void encodeEntries(
    u8* row, const Map& map, int part, int chunk, const Source& source, int threads, bool brain) {
  int thread = threadIdx.x % threads, format = map.format(part), channel = thread % LANES * 8;
  int first = map.entries * chunk / CHUNKS, end = map.entries * (chunk + 1) / CHUNKS;
  Stream stream(source, map, channel, threads / LANES, end);
  stream.begin(first + thread / LANES);
#pragma unroll 1
  for (; first < end; first += threads / LANES) {
    int entry = first + thread / LANES;
    bool valid = entry < end;
    float x[8] = {};
    if (valid) stream.mean(x);
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
    u32 numbers[8];
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = is8 ? x[j] : __fsub_rn(x[j], low);
    divide8(x, &step.inverse, &step.step, 0, is8 ? -INT8_MAX : 0, is8 ? INT8_MAX : INT4_MAX,
            numbers);
    if (is8) {
#pragma unroll
      for (int i = 0; i < 2; i++)
        words[i] = __byte_perm(__byte_perm(numbers[4 * i], numbers[4 * i + 1], 0x0040),
                               __byte_perm(numbers[4 * i + 2], numbers[4 * i + 3], 0x0040), 0x5410);
    } else {
      words[0] = nibbles(numbers);
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
// others from keys k and values v, whose rows, heads and tokens lie so many elements apart. Of the
// store order, the first `large` take a block for each row, part and chunk, the others a warp.
// Grid: blocks of both.
extern "C" __global__ void __launch_bounds__(256, 3) encode_maps(
    u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    int large, const float* workspace, int total, const T* k, const T* v, i64 rowStride,
    i64 headStride, i64 tokenStride, int rows, int brain) {
  awaitEarlier();
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
  const T* tokens = (part ? v : k) + row * rowStride + map.head * headStride;
  Source source = {(const u8*)tokens, ELEMENT == 0, 1, (int)tokenStride};
  if (i < moved) {
    Map before;
    before.read(step, step.reads + i);
    const float* decoded = workspace + (((i64)part * rows + row) * total + before.head) * DIM;
    source = {(const u8*)decoded, true, before.pool, DIM};
  }
  arena += row * rowBytes;
  if (map.format(part) == INT4) encodeChannels(arena, map, part, chunk, source, threads);
  else encodeEntries(arena, map, part, chunk, source, threads, brain);
}

// Entries x [entries, DIM] in 8 bits, each followed by its step: out [entries, DIM + 2]. One thread
// a unit of x.
extern "C" __global__ void quantise(const T* x, u8* out, i64 units) {
  awaitEarlier();
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
  awaitEarlier();
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
