// Attention by small tiles: one launch over two sets of keys, read where they lie.
//
// Compiled at run time, after stored.cu and tile.cu.

// Two sets of keys and values: rows and heads lie rowStride and headStride elements apart, entries
// of the second tokenStride2. With ends, a head's first set is the entries of its row from
// ends[head] to ends[head + 1], counted in `unit` entries; with slots, entry i is at slots[i]; with
// added, that is added to its score. `other` is attention to other keys, with its log-sum-exp, or
// null. q and other with the given strides.
// Grid: tiles of queries x rows * heads.
extern "C" __global__ void __launch_bounds__(128) attend(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, float* lse, int queries, int heads,
    float scale, const T* k1, const T* v1, i64 rowStride1, i64 headStride1, i64 count1,
    const i64* slots, const int* ends, int unit, const float* added, const T* k2, const T* v2,
    i64 rowStride2, i64 headStride2, i64 tokenStride2, i64 count2, const T* other,
    i64 otherRow, i64 otherHead, i64 otherToken, const float* otherLse) {
  awaitEarlier();
  __shared__ alignas(16) T keys[KEYS * PITCH];
  __shared__ alignas(16) T values[KEYS * PITCH];
  __shared__ float here[KEYS];
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  i64 offset1 = row * rowStride1 + head * headStride1;
  i64 offset2 = row * rowStride2 + head * headStride2;
  if (ends) {
    i64 first = (i64)ends[head] * unit;
    count1 = (i64)ends[head + 1] * unit - first;
    if (slots) slots += first;
    else offset1 += first * DIM;
    if (added) added += first;
  }
  scale *= 1.44269504f;
  Attention attention(q + row * qRow + head * qHead, qToken, queries, blockIdx.x);
  if (other)
    attention.start(other + row * otherRow + head * otherHead, otherToken,
                    otherLse + (i64)blockIdx.y * queries, queries);
  attention.dense(k1 + offset1, v1 + offset1, count1, scale, keys, values, slots, added, here);
  attention.dense(k2 + offset2, v2 + offset2, count2, scale, keys, values, nullptr, nullptr, nullptr,
                  tokenStride2);
  attention.write(out, lse, row, head, heads, queries);
}

// Keys and values that stay in shared memory, their rows, heads and entries so many elements apart.
// Each warp takes 16 queries after another, the next of which it copies meanwhile; q with the given
// strides. Grid: any number of blocks, which share the queries, x rows * heads.
extern "C" __global__ void __launch_bounds__(128, 2) attend_few(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, int queries, int heads, float scale,
    const T* k, const T* v, i64 rowStride, i64 headStride, i64 tokenStride, int count) {
  awaitEarlier();
  extern __shared__ uint4 memory[];
  int tiles = (count + KEYS - 1) / KEYS, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  T* keys = (T*)memory;
  T* values = keys + tiles * KEYS * PITCH;
  T* rows = values + (tiles * KEYS + warp * 32) * PITCH;
  int row = blockIdx.y / heads, head = blockIdx.y % heads;
  q += row * qRow + head * qHead;
  k += row * rowStride + head * headStride;
  v += row * rowStride + head * headStride;
  auto copy = [&](int first, T* to) {
#pragma unroll
    for (int i = 0; i < DIM / 16; i++) {
      int n = (i * 32 + lane) / (DIM / 8), channel = (i * 32 + lane) % (DIM / 8) * 8;
      bool valid = first + n < queries;
      copy16(to + n * PITCH + channel, q + (valid ? first + n : 0) * qToken + channel, valid);
    }
    asm volatile("cp.async.commit_group;");
  };
  int first = (blockIdx.x * 4 + warp) * 16, step = gridDim.x * 64;
  copy(first, rows);
  for (int t = 0; t < tiles; t++)
    Attention::load(k, v, t * KEYS, count - t * KEYS, nullptr, keys + t * KEYS * PITCH,
                    values + t * KEYS * PITCH, tokenStride);
  __syncthreads();
  scale *= 1.44269504f;
  for (int turn = 0; first < queries; first += step, turn ^= 1) {
    T* here = rows + turn * 16 * PITCH;
    copy(first + step, rows + (turn ^ 1) * 16 * PITCH);
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncwarp();
    Attention attention(here, first);
    __syncwarp();
    for (int t = 0; t < tiles; t++)
      attention.tile(keys + t * KEYS * PITCH, values + t * KEYS * PITCH, count - t * KEYS, scale,
                     nullptr);
    attention.writeBy(here, out, row, head, heads, queries);
    __syncwarp();
  }
}

#if (DIM & (DIM - 1)) == 0
// The maps that a head reads, decoded as they come, and current keys and values, whose rows, heads and
// tokens lie so many elements apart. Blocks after those of the queries copy moved maps, see copyMoved.
// Grid: tiles of queries and more x rows * heads.
extern "C" __global__ void __launch_bounds__(128) attend_stored(
    const T* q, i64 qRow, i64 qHead, i64 qToken, T* out, int queries, int heads, float scale,
    const u8* arena, i64 rowBytes, const int* table, int reads, int moved, int stored,
    u8* workspace, int total, const T* k, const T* v, i64 rowStride, i64 headStride,
    i64 tokenStride, i64 count, int brain) {
  awaitEarlier();
  __shared__ alignas(16) T tiles[2][KEYS * PITCH];
  __shared__ Map maps[MAX_MAPS];
  __shared__ int2 places[KEYS];
  __shared__ float added[KEYS];
  Step step = {table, heads, reads, moved, stored};
  int row = blockIdx.y / heads, head = blockIdx.y % heads, blocks = (queries + 63) / 64;
  if (blockIdx.x >= blocks) {
    int item = (blockIdx.x - blocks) * heads + head;
    copyMoved(step, item, row, arena, rowBytes, workspace, total);
    return;
  }
  arena += row * rowBytes;
  scale *= 1.44269504f;
  Attention attention(q + row * qRow + head * qHead, qToken, queries, blockIdx.x);
  int known = readMaps(step, head, maps);
  int entries = known ? maps[known - 1].first + maps[known - 1].entries : 0;
  int lane = threadIdx.x % LANES;
  for (int start = 0; start < entries; start += KEYS) {
    __syncthreads();
    if (threadIdx.x < KEYS) {
      int2 place = find(maps, known, start + threadIdx.x);
      places[threadIdx.x] = place;
      added[threadIdx.x] = place.x < 0 ? 0 : log2f((float)maps[place.x].tokens(place.y));
    }
    __syncthreads();
#pragma unroll
    for (int part = 0; part < 2; part++) {
      Decoder decoder(arena, part, lane * 8, brain);
#pragma unroll 2
      for (int key = threadIdx.x / LANES; key < KEYS; key += 128 / LANES) {
        int2 place = places[key];
        float x[8] = {};
        if (place.x >= 0) decoder.unit(maps[place.x], place.y, x);
        *(uint4*)(tiles[part] + key * PITCH + lane * 8) = pack8(x);
      }
    }
    __syncthreads();
    attention.tile(tiles[0], tiles[1], entries - start, scale, added);
  }
  i64 offset = row * rowStride + head * headStride;
  attention.dense(k + offset, v + offset, count, scale, tiles[0], tiles[1], nullptr, nullptr, nullptr,
                  tokenStride);
  attention.write(out, nullptr, row, head, heads, queries);
}
#endif
