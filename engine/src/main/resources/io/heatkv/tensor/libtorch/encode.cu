// Stored maps: encoding. After stored.cu.

// 8 channels of tokens that lie so many bytes apart.
struct Tokens {
  static const int WORDS = 2 * sizeof(T), BATCH = 32 / WORDS;
  const u8* at;
  i64 pitch;

  __device__ void fetch(int token, u32* words) const {
#pragma unroll
    for (int i = 0; i < WORDS / 4; i++) {
      uint4 x = ((const uint4*)(at + token * pitch))[i];
      words[4 * i] = x.x, words[4 * i + 1] = x.y, words[4 * i + 2] = x.z, words[4 * i + 3] = x.w;
    }
  }

  __device__ void decode(const u32* words, float* x) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
#if ELEMENT > 0
      x[j] = widen((T)(words[j / 2] >> 16 * (j % 2)));
#else
      x[j] = __uint_as_float(words[j]);
#endif
    }
  }
};

// 8 channels of the entries of a map that is moved.
struct Moved {
  static const int WORDS = 4, BATCH = 4;
  const Map& map;
  Decoder decoder;

  __device__ void fetch(int entry, u32* words) const { decoder.fetch(map, entry, words); }
  __device__ void decode(const u32* words, float* x) { decoder.decode(map, words, x); }
};

// Units that a thread reads before it decodes the first of them.
#define AHEAD 4

// What is encoded: means of blocks of units, `side` each way, a power of two; a unit of a source is
// the mean of `from` tokens a side.
template <class Source> struct Blocks {
  Source& source;
  int from, height, width, side, columns, across;
  bool isWhole;

  __device__ Blocks(Source& source, const Map& map, int from)
      : source(source), from(from), height(map.height), width(map.width), side(map.pool / from),
        columns((width + from - 1) / from), across(map.columns),
        isWhole(height % map.pool == 0 && width % map.pool == 0) {}

  // The tokens that a unit stands for: 0 past an edge.
  __device__ int count(int row, int column) const {
    int tall = min(from, height - row * from), wide = min(from, width - column * from);
    return max(tall, 0) * max(wide, 0);
  }

  __device__ void mean(int entry, float* x) {
    int top = entry / across * side, left = entry % across * side, log = __ffs(side) - 1;
    int tokens = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = 0;
#pragma unroll 1
    for (int first = 0; first < side * side; first += Source::BATCH) {
      u32 words[Source::BATCH][Source::WORDS];
      int counts[Source::BATCH];
#pragma unroll
      for (int n = 0; n < Source::BATCH; n++) {
        int row = top + (first + n >> log), column = left + (first + n & side - 1);
        // Where no edge cuts a block, all units count the same, a power of two.
        counts[n] = first + n >= side * side ? 0 : isWhole ? 1 : count(row, column);
        if (counts[n]) source.fetch(row * columns + column, words[n]);
      }
#pragma unroll
      for (int n = 0; n < Source::BATCH; n++) {
        if (!counts[n]) continue;
        float unit[8];
        source.decode(words[n], unit);
        tokens += counts[n];
#pragma unroll
        for (int j = 0; j < 8; j++)
          x[j] = __fadd_rn(x[j], isWhole ? unit[j] : __fmul_rn((float)counts[n], unit[j]));
      }
    }
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

  // Calls use(entry, x) for every step-th entry from `first` on, as often as for those from `start`
  // on, which isn't above `first`; from the end on x is nothing. The first mean may be known.
  template <class F>
  __device__ void each(
      int start, int first, int step, int end, F use, const float* known = nullptr) {
    float x[8] = {};
    if (side > 1) {
      bool isKnown = known;
#pragma unroll
      for (int j = 0; j < 8 && known; j++) x[j] = known[j];
#pragma unroll 1
      for (; start < end; start += step, first += step, isKnown = false) {
        if (first < end && !isKnown) mean(first, x);
        use(first, x);
      }
      return;
    }
    u32 words[AHEAD][Source::WORDS] = {};
#pragma unroll
    for (int n = 0; n < AHEAD - 1; n++)
      if (first + n * step < end) source.fetch(first + n * step, words[n]);
#pragma unroll 1
    for (; start < end; start += step, first += step) {
      int next = first + (AHEAD - 1) * step;
      if (next < end) source.fetch(next, words[AHEAD - 1]);
      source.decode(words[0], x);
      use(first, x);
#pragma unroll
      for (int n = 0; n < AHEAD - 1; n++) {
#pragma unroll
        for (int i = 0; i < Source::WORDS; i++) words[n][i] = words[n + 1][i];
      }
    }
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
template <class Source>
static __device__ void encodeChannels(
    u8* row, const Map& map, int part, int chunk, Blocks<Source>& blocks, int threads) {
  __shared__ float least[8][WIDTH], most[8][WIDTH];
  // Of each warp, though those of a block have the same.
  __shared__ float lows[8][WIDTH], steps[8][WIDTH], inverses[8][WIDTH];
  const int lanes = WIDTH / 8;
  int warp = threadIdx.x / 32, thread = threadIdx.x % threads, lane = thread % lanes * 8;
  int first = thread / lanes, step = threads / lanes;
  float low[8], high[8], known[8];
#pragma unroll
  for (int j = 0; j < 8; j++) low[j] = 3.4e38f, high[j] = -3.4e38f;
  // First their range, then the numbers.
  blocks.each(first, first, step, map.entries, [&](int entry, float* x) {
#pragma unroll
    for (int j = 0; j < 8; j++) low[j] = fminf(low[j], x[j]), high[j] = fmaxf(high[j], x[j]);
#pragma unroll
    for (int j = 0; j < 8; j++)
      if (entry == first) known[j] = x[j];
  });
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
  float inverse[8];
#pragma unroll
  for (int j = 0; j < 8; j++) low[j] = lows[warp][lane + j], inverse[j] = inverses[warp][lane + j];
  blocks.each(first, first, step, map.entries, [&](int entry, float* x) {
    u32 numbers[8];
#pragma unroll
    for (int j = 0; j < 8; j++) x[j] = __fsub_rn(x[j], low[j]);
    divide8(x, inverse, steps[warp] + lane, 1, 0, INT4_MAX, numbers);
    u32 word = nibbles(numbers);
    map.store<1>(row, map.entryAt(part, entry) + (chunk * WIDTH + lane) / 2, &word);
  }, known);
}

// Whole entries, a chunk of a map's, by neighbouring lanes of a warp, all of which take part.
template <class Source>
static __device__ void encodeEntries(
    u8* row, const Map& map, int part, int chunk, Blocks<Source>& blocks, int threads, bool brain) {
  int thread = threadIdx.x % threads, format = map.format(part), channel = thread % LANES * 8;
  int first = map.entries * chunk / CHUNKS, end = map.entries * (chunk + 1) / CHUNKS;
  // Of 8 bits the low is 0.
  bool is8 = format == INT8;
  blocks.each(first, first + thread / LANES, threads / LANES, end, [&](int entry, float* x) {
    bool valid = entry < end;
    int byte = map.entryAt(part, entry);
    u32 words[4] = {};
    if (format == FLOAT16) {
#pragma unroll
      for (int j = 0; j < 8; j++)
        words[j / 2] |= (u32)(brain ? toBrain(x[j]) : toHalf(saturated(x[j]))) << 16 * (j % 2);
      if (valid) map.store<4>(row, byte + 2 * channel, words);
      return;
    }
    float low = x[0], high = x[0];
#pragma unroll
    for (int j = 1; j < 8; j++) low = fminf(low, x[j]), high = fmaxf(high, x[j]);
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) {
      low = fminf(low, __shfl_xor_sync(~0u, low, offset));
      high = fmaxf(high, __shfl_xor_sync(~0u, high, offset));
    }
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
    if (!valid) return;
    if (is8) {
      map.store<2>(row, byte + channel, words);
      if (channel == 0) map.scale(row, part, entry, bits);
    } else {
      map.store<1>(row, byte + channel / 2, words);
      if (channel == 0) map.scale(row, part, 2 * entry, lowBits);
      if (channel == 0) map.scale(row, part, 2 * entry + 1, bits);
    }
  });
}

template <class Source>
static __device__ void encode(
    u8* row, const Map& map, int part, int chunk, Blocks<Source> blocks, int threads, bool brain) {
  if (map.format(part) == INT4) encodeChannels(row, map, part, chunk, blocks, threads);
  else encodeEntries(row, map, part, chunk, blocks, threads, brain);
}

// Stores maps: the first `moved` from what was copied to a workspace of `total` granules a row, the
// others from keys k and values v, whose rows, heads and tokens lie so many elements apart. Of the
// store order, the first `large` take a block for each row, part and chunk, the others a warp.
// Grid: blocks of both.
extern "C" __global__ void __launch_bounds__(256, 2) encode_maps(
    u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    int large, const u8* workspace, int total, const T* k, const T* v, i64 rowStride,
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
  arena += row * rowBytes;
  // Where scales are channels' own, a thread has a unit of a chunk's, else one of all.
  int thread = threadIdx.x % threads, unit = thread % LANES;
  if (map.format(part) == INT4) unit = chunk * (WIDTH / 8) + thread % (WIDTH / 8);
  if (i < moved) {
    Map before;
    before.read(step, step.reads + i);
    before.copied();
    Decoder decoder(workspace + copyAt(row, total, before), part, unit * 8, brain);
    Moved source = {before, decoder};
    encode(arena, map, part, chunk, Blocks<Moved>(source, map, before.pool), threads, brain);
  } else {
    const T* at = (part ? v : k) + row * rowStride + map.head * headStride + unit * 8;
    Tokens source = {(const u8*)at, tokenStride * (i64)sizeof(T)};
    encode(arena, map, part, chunk, Blocks<Tokens>(source, map, 1), threads, brain);
  }
}
