// Stored maps: decoding to tiles, copies of what is moved, 8 bits alone. After stored.cu.

struct alignas(16) Unit { T at[8]; };

static __device__ void narrowUnit(const float* x, T* to) {
#if ELEMENT > 0
  *(uint4*)to = pack8(x);
#else
  ((float4*)to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  ((float4*)to)[1] = make_float4(x[4], x[5], x[6], x[7]);
#endif
}

// Bytes of moved maps to a workspace, see copyMoved. Grid: moved * SPLIT x rows.
extern "C" __global__ void copy_maps(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    u8* workspace, int total) {
  awaitEarlier();
  Step step = {table, heads, reads, moved, stored};
  copyMoved(step, blockIdx.x, blockIdx.y, arena, rowBytes, workspace, total);
}

#define TILE 128
// Entries of a thread that are read before the first of them is decoded.
#define TOGETHER 4

// What heads read, in tiles [rows, 2, tiles, 128, DIM]. What counts add to scores, in units of the
// logarithm to base 2, to added [tiles, 128]: where a head has no more entries, so little that
// nothing else counts. If `swizzled`, as wide.cu takes them: DIM is 128, T has 16 bits, `added` gets
// counts as shares of the largest, values are multiplied by them, and where a head has no more
// entries, its last key with the count 0 fills the tile. Further blocks copy moved maps, see copyMoved.
// Grid: tiles * 2 and shares of moved maps x any number, which share the rows.
extern "C" __global__ void __launch_bounds__(256) decode_tiles(
    const u8* arena, i64 rowBytes, const int* table, int heads, int reads, int moved, int stored,
    T* out, float* added, int tiles, u8* workspace, int total, int rows, int brain, int swizzled) {
  awaitEarlier();
  __shared__ Map maps[MAX_MAPS];
  __shared__ int2 places[TILE];
  __shared__ float shares[TILE];
  __shared__ int found;
  Step step = {table, heads, reads, moved, stored};
  int tile = blockIdx.x / 2, part = blockIdx.x % 2;
  if (tile >= tiles) {
    for (int row = blockIdx.y; row < rows; row += gridDim.y)
      copyMoved(step, blockIdx.x - 2 * tiles, row, arena, rowBytes, workspace, total);
    return;
  }
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
  __syncthreads();
  int lane = threadIdx.x % LANES;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    Decoder decoder(arena + row * rowBytes, part, lane * 8, brain);
    T* to = out + ((i64)(row * 2 + part) * tiles + tile) * (TILE * DIM);
#pragma unroll 1
    for (int i = threadIdx.x / LANES; i < TILE; i += TOGETHER * 256 / LANES) {
      u32 words[TOGETHER][4];
#pragma unroll
      for (int n = 0; n < TOGETHER; n++) {
        int entry = i + n * 256 / LANES;
        if (entry >= TILE) continue;
        int2 place = places[entry];
        if (place.x >= 0) decoder.fetch(maps[place.x], place.y, words[n]);
      }
#pragma unroll
      for (int n = 0; n < TOGETHER; n++) {
        int entry = i + n * 256 / LANES;
        if (entry >= TILE) break;
        int map = places[entry].x;
        float x[8] = {};
        if (map >= 0) decoder.decode(maps[map], words[n], x);
        // Swizzled, halves of the channels lie apart, and the units of 8 entries in turn.
        int at = swizzled ? lane / 8 * (TILE * 64) + entry * 64 + ((lane % 8) ^ (entry % 8)) * 8
                          : entry * DIM + lane * 8;
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] *= shares[entry];
        narrowUnit(x, to + at);
      }
    }
  }
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
