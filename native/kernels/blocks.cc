// Weights in the formats of GGUF files: read from blocks, and stored in blocks of 1 or 32 weights. One sweep, limited by memory.
// Layouts and contracts: src/tensor/reference/blocks/.
#include "blocks.h"
#include "rows.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ISA_NS {
namespace {

// ---- vectors of small numbers

typedef uint8_t vub __attribute__((vector_size(W)));
typedef int8_t vb __attribute__((vector_size(W)));

ALWAYS_INLINE vi load_bytes(const uint8_t* p) {
  vub bytes;
  memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, vi);
}
// The lowest byte of each lane. GCC takes lanes out one by one where it is not told how to.
ALWAYS_INLINE void store_bytes(uint8_t* p, vi x) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xFFFF, (__m512i)x);
  memcpy(p, &bytes, W);
#elif defined(__AVX2__)
  const __m256i first = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i each = _mm256_shuffle_epi8((__m256i)x, first);
  const __m128i bytes = _mm_unpacklo_epi32(_mm256_castsi256_si128(each), _mm256_extracti128_si256(each, 1));
  memcpy(p, &bytes, W);
#elif defined(__SSE2__)
  const __m128i words = _mm_packs_epi32((__m128i)(x & 255), (__m128i)(x & 255));
  const __m128i bytes = _mm_packus_epi16(words, words);
  memcpy(p, &bytes, W);
#else
  const vb bytes = __builtin_convertvector(x, vb);
  memcpy(p, &bytes, sizeof bytes);
#endif
}
ALWAYS_INLINE vf to_floats(vi x) { return __builtin_convertvector(x, vf); }
ALWAYS_INLINE vi to_ints(vf x) { return __builtin_convertvector(x, vi); }
ALWAYS_INLINE vf vabs(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }
ALWAYS_INLINE vi at_most(vi x, int most) { return (x & (x < most)) | (most & ~(x < most)); }

ALWAYS_INLINE uint32_t or_of_lanes(vi x) {
  uint32_t all = 0;
  for (int lane = 0; lane < W; lane++) all |= static_cast<uint32_t>(x[lane]);
  return all;
}
ALWAYS_INLINE bool any(vi mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  return or_of_lanes(mask) != 0;
#endif
}

constexpr int V = 32 / W;  // vectors of a block of 32

struct Row {
  vf x[V];
};

ALWAYS_INLINE Row load_row(const float* x) {
  Row row;
  for (int i = 0; i < V; i++) row.x[i] = load(x + i * W);
  return row;
}

ALWAYS_INLINE float inverse(float scale) { return scale != 0 ? 1.0f / scale : 0.0f; }
// Where there is one, 1 / scale of a scale near the end of floats is not finite; levels are 0 then.
ALWAYS_INLINE bool is_finite(float x) { return (bits_of(x) & 0x7F800000) != 0x7F800000; }

ALWAYS_INLINE float farthest_size(const Row& row) {
  vf most = vabs(row.x[0]);
  for (int i = 1; i < V; i++) most = vmax(most, vabs(row.x[i]));
  return reduce_max(most);
}

// Not where one is not a number, either.
ALWAYS_INLINE bool all_usual(const Row& row) {
  vi usual = vabs(row.x[0]) < float_of(too_large);
  for (int i = 1; i < V; i++) usual &= vabs(row.x[i]) < float_of(too_large);
  return !any(~usual);
}

// ---- one weight a block

bool store_f16(uint8_t* blocks, const float* x, int64_t count) {
  int64_t done = 0;
#if defined(__AVX512F__)
  for (; done + 16 <= count; done += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(blocks + 2 * done),
                        _mm512_maskz_cvtps_ph(0xFFFF, (__m512)load(x + done), _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  for (; done + 8 <= count; done += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i_u*>(blocks + 2 * done),
                     _mm256_cvtps_ph((__m256)load(x + done), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; done < count; done++) store_word(blocks + 2 * done, half_of(x[done]));
  uint16_t special = 0;
  for (int64_t i = 0; i < count; i++) special |= (load_word(blocks + 2 * i) & 0x7C00) == 0x7C00;
  return special == 0;
}

bool store_bf16(uint8_t* blocks, const float* x, int64_t count) {
  uint32_t special = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint32_t bits = bits_of(x[i]);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    const uint32_t word = (bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded;
    store_word(blocks + 2 * i, static_cast<uint16_t>(word));
    special |= (word & 0x7F80) == 0x7F80;
  }
  return special == 0;
}

void load_f16(float* y, const uint8_t* blocks, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = load_half(blocks + 2 * i);
}

void load_bf16(float* y, const uint8_t* blocks, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = float_of(static_cast<uint32_t>(load_word(blocks + 2 * i)) << 16);
}

// ---- 32 weights a block

bool quantize_q8_0(uint8_t* block, const float* x) {
  const Row row = load_row(x);
  const float scale = farthest_size(row) / 127.0f, factor = inverse(scale);
  const float stored = store_half(block, scale);
  if (!is_finite(factor)) {
    memset(block + 2, 0, 32);
  } else {
    for (int i = 0; i < V; i++) {
      const vf value = row.x[i] * factor;
      const vi whole = to_ints(value);
      const vf rest = value - to_floats(whole);
      // Halves are rounded away from zero; a comparison that holds is -1.
      store_bytes(block + 2 + i * W, whole - (rest >= 0.5f) + (rest <= -0.5f));
    }
  }
  return all_usual(row) && is_finite_half(stored);
}

// Lower halves of 16 weights, upper ones of the next 16; the fifth bits in a word before them.
template <int bits>
ALWAYS_INLINE void store_levels(uint8_t* p, const vi* levels) {
  if (bits == 5) {
    uint32_t fifths = 0;
    vi lanes;
    for (int lane = 0; lane < W; lane++) lanes[lane] = lane;
    for (int i = 0; i < V; i++) fifths |= or_of_lanes((levels[i] >> 4 & 1) << lanes) << (i * W);
    memcpy(p, &fifths, sizeof fifths);
    p += sizeof fifths;
  }
  if constexpr (V >= 2) {
    for (int i = 0; i < V / 2; i++) store_bytes(p + i * W, (levels[i] & 15) | (levels[i + V / 2] & 15) << 4);
  }
}

// The value farthest from 0, the first of equals, whose size is known.
ALWAYS_INLINE float farthest(const float* x, const Row& row, float size) {
  vi above = row.x[0] == size, below = row.x[0] == -size;
  for (int i = 1; i < V; i++) {
    above |= row.x[i] == size;
    below |= row.x[i] == -size;
  }
  // Which sign it has nobody can foretell, so there is no branch on it.
  const uint32_t is_above = any(above), is_below = any(below);
  if (__builtin_expect(!(is_above & is_below), 1)) return float_of(bits_of(size) | is_below << 31);
  int first = 0;
  while (first < 31 && __builtin_fabsf(x[first]) != size) first++;
  return x[first];
}

// Q4_0 and Q5_0: the value farthest from 0 becomes the lowest level.
template <int bits>
bool quantize_signed(uint8_t* block, const float* x) {
  constexpr int middle = 1 << (bits - 1);
  const Row row = load_row(x);
  const float size = farthest_size(row);
  const float scale = (size > 0 ? farthest(x, row, size) : 0.0f) / -static_cast<float>(middle), factor = inverse(scale);
  const float stored = store_half(block, scale);
  vi levels[V] = {};
  if (is_finite(factor))
    for (int i = 0; i < V; i++) levels[i] = at_most(to_ints(row.x[i] * factor + (middle + 0.5f)), 2 * middle - 1);
  store_levels<bits>(block + 2, levels);
  return all_usual(row) && is_finite_half(stored);
}

// A zero has the sign of the first one, as if values had been compared one after the other.
ALWAYS_INLINE float first_of_zeros(const float* x, float extreme) {
  if (extreme != 0) return extreme;
  int first = 0;
  while (first < 31 && x[first] != 0) first++;
  return x[first];
}

// Q4_1 and Q5_1: levels from the least value to the largest.
template <int bits>
bool quantize_shifted(uint8_t* block, const float* x) {
  constexpr int last = (1 << bits) - 1;
  const Row row = load_row(x);
  vf high = row.x[0], low = -row.x[0];
  for (int i = 1; i < V; i++) {
    high = vmax(high, row.x[i]);
    low = vmax(low, -row.x[i]);
  }
  const float most = first_of_zeros(x, reduce_max(high)), least = first_of_zeros(x, -reduce_max(low));
  const float scale = (most - least) / static_cast<float>(last), factor = inverse(scale);
  const float stored = store_half(block, scale), stored_least = store_half(block + 2, least);
  vi levels[V] = {};
  if (is_finite(factor) && is_finite(scale))
    for (int i = 0; i < V; i++) levels[i] = at_most(to_ints((row.x[i] - least) * factor + 0.5f), last);
  store_levels<bits>(block + 4, levels);
  return all_usual(row) && is_finite_half(stored) && is_finite_half(stored_least);
}

void dequantize_q8_0(float* y, const uint8_t* block) {
  const float scale = load_half(block);
  const auto* levels = reinterpret_cast<const int8_t*>(block + 2);
  for (int j = 0; j < 32; j++) y[j] = static_cast<float>(levels[j]) * scale;
}

template <int bits, bool shifted>
void dequantize_small(float* y, const uint8_t* block) {
  constexpr int middle = shifted ? 0 : 1 << (bits - 1);
  const float scale = load_half(block), least = shifted ? load_half(block + 2) : 0.0f;
  const uint8_t* p = block + (shifted ? 4 : 2);
  uint32_t fifths = 0;
  if (bits == 5) {
    memcpy(&fifths, p, sizeof fifths);
    p += sizeof fifths;
  }
  for (int j = 0; j < 16; j++) {
    const int32_t low = (p[j] & 15) | static_cast<int32_t>((fifths >> j & 1) << 4);
    const int32_t high = p[j] >> 4 | static_cast<int32_t>((fifths >> (j + 16) & 1) << 4);
    const float a = static_cast<float>(low - middle) * scale, b = static_cast<float>(high - middle) * scale;
    y[j] = shifted ? a + least : a;
    y[j + 16] = shifted ? b + least : b;
  }
}

// ---- 256 weights a block

struct ScaleAndMin {
  float scale, least;
};

// Of sub-block j of Q4_K and Q5_K.
ALWAYS_INLINE ScaleAndMin scaled(const uint8_t* p, int j, float d, float dmin) {
  const int scale = j < 4 ? p[j] & 63 : (p[j + 4] & 15) | (p[j - 4] >> 6) << 4;
  const int least = j < 4 ? p[j + 4] & 63 : p[j + 4] >> 4 | (p[j] >> 6) << 4;
  return {d * static_cast<float>(scale), dmin * static_cast<float>(least)};
}

template <int bits>
void dequantize_q45_k(float* y, const uint8_t* block) {
  const float d = load_half(block), dmin = load_half(block + 2);
  const uint8_t *fifths = block + 16, *halves = block + (bits == 5 ? 48 : 16);
  for (int j = 0; j < 8; j += 2) {
    const ScaleAndMin a = scaled(block + 4, j, d, dmin), b = scaled(block + 4, j + 1, d, dmin);
    for (int l = 0; l < 32; l++) {
      const int low = (halves[l] & 15) + (bits == 5 ? (fifths[l] >> j & 1) << 4 : 0);
      y[32 * j + l] = a.scale * static_cast<float>(low) - a.least;
    }
    for (int l = 0; l < 32; l++) {
      const int high = (halves[l] >> 4) + (bits == 5 ? (fifths[l] >> (j + 1) & 1) << 4 : 0);
      y[32 * j + 32 + l] = b.scale * static_cast<float>(high) - b.least;
    }
    halves += 32;
  }
}

void dequantize_q6_k(float* y, const uint8_t* block) {
  const float d = load_half(block + 208);
  const auto* scales = reinterpret_cast<const int8_t*>(block + 192);
  for (int group = 0; group < 2; group++)
    for (int l = 0; l < 32; l += W) {
      const vi low = load_bytes(block + 64 * group + l), next = load_bytes(block + 64 * group + 32 + l);
      const vi high = load_bytes(block + 128 + 32 * group + l);
      const vi levels[4] = {(low & 15) | (high & 3) << 4, (next & 15) | (high >> 2 & 3) << 4,
                            low >> 4 | (high >> 4 & 3) << 4, next >> 4 | (high >> 6) << 4};
      for (int quarter = 0; quarter < 4; quarter++) {
        const float scale = d * static_cast<float>(scales[8 * group + 2 * quarter + l / 16]);
        store(y + 128 * group + 32 * quarter + l, scale * to_floats(levels[quarter] - 32));
      }
    }
}

void dequantize_q2_k(float* y, const uint8_t* block) {
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int group = 0; group < 2; group++)
    for (int l = 0; l < 32; l += W) {
      const vi pairs = load_bytes(block + 16 + 32 * group + l);
      for (int quarter = 0; quarter < 4; quarter++) {
        const uint8_t scales = block[8 * group + 2 * quarter + l / 16];
        const float scale = d * static_cast<float>(scales & 15), least = dmin * static_cast<float>(scales >> 4);
        store(y + 128 * group + 32 * quarter + l, scale * to_floats(pairs >> (2 * quarter) & 3) - least);
      }
    }
}

void dequantize_q3_k(float* y, const uint8_t* block) {
  const float d = load_half(block + 108);
  const uint8_t* packed = block + 96;
  float scales[16];
  for (int j = 0; j < 16; j++) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4, high = packed[8 + (j & 3)] >> 2 * (j >> 2) & 3;
    scales[j] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (int group = 0; group < 2; group++)
    for (int l = 0; l < 32; l += W) {
      const vi pairs = load_bytes(block + 32 + 32 * group + l), thirds = load_bytes(block + l);
      for (int quarter = 0; quarter < 4; quarter++) {
        const vi level = (pairs >> (2 * quarter) & 3) + (thirds >> (4 * group + quarter) & 1) * 4 - 4;
        store(y + 128 * group + 32 * quarter + l, scales[8 * group + 2 * quarter + l / 16] * to_floats(level));
      }
    }
}

// ---- all of them

template <bool (*one)(uint8_t*, const float*), int bytes>
bool quantize_each(uint8_t* blocks, const float* x, int64_t count) {
  bool fits = true;
  for (int64_t i = 0; i < count; i++) fits &= one(blocks + i * bytes, x + i * 32);
  return fits;
}

template <void (*one)(float*, const uint8_t*), int weights, int bytes>
void dequantize_each(float* y, const uint8_t* blocks, int64_t count) {
  for (int64_t i = 0; i < count; i++) one(y + i * weights, blocks + i * bytes);
}

bool store_f32(uint8_t* blocks, const float* x, int64_t count) {
  memcpy(blocks, x, static_cast<size_t>(count) * sizeof(float));
  return true;
}

void load_f32(float* y, const uint8_t* blocks, int64_t count) {
  memcpy(y, blocks, static_cast<size_t>(count) * sizeof(float));
}

struct Format {
  bool (*quantize)(uint8_t* blocks, const float* x, int64_t count);
  void (*dequantize)(float* y, const uint8_t* blocks, int64_t count);
};

const Format formats[] = {
    {store_f32, load_f32},
    {store_f16, load_f16},
    {store_bf16, load_bf16},
    {quantize_each<quantize_q8_0, 34>, dequantize_each<dequantize_q8_0, 32, 34>},
    {quantize_each<quantize_signed<4>, 18>, dequantize_each<dequantize_small<4, false>, 32, 18>},
    {quantize_each<quantize_shifted<4>, 20>, dequantize_each<dequantize_small<4, true>, 32, 20>},
    {quantize_each<quantize_signed<5>, 22>, dequantize_each<dequantize_small<5, false>, 32, 22>},
    {quantize_each<quantize_shifted<5>, 24>, dequantize_each<dequantize_small<5, true>, 32, 24>},
    {quantize_q4_k, dequantize_each<dequantize_q45_k<4>, 256, 144>},
    {quantize_q6_k, dequantize_each<dequantize_q6_k, 256, 210>},
    {nullptr, dequantize_each<dequantize_q45_k<5>, 256, 176>},
    {nullptr, dequantize_each<dequantize_q2_k, 256, 84>},
    {nullptr, dequantize_each<dequantize_q3_k, 256, 110>},
};

// Pieces are whole blocks: they hold 2^14 floats.
bool quantize(int format, uint8_t* blocks, const float* x, int64_t count) {
  const auto [weights, bytes] = block_layouts[format];
  int misfits = 0;
  for_pieces(count * weights, [&](int64_t from, int64_t to) {
    const bool fits = formats[format].quantize(blocks + from / weights * bytes, x + from, (to - from) / weights);
    if (!fits) __atomic_store_n(&misfits, 1, __ATOMIC_RELAXED);
  });
  return misfits == 0;
}

void dequantize(int format, float* y, const uint8_t* blocks, int64_t count) {
  const auto [weights, bytes] = block_layouts[format];
  for_pieces(count * weights, [&](int64_t from, int64_t to) {
    formats[format].dequantize(y + from, blocks + from / weights * bytes, (to - from) / weights);
  });
}

}  // namespace

void fill_blocks(KernelTable& table) { table.blocks = {quantize, dequantize}; }

}  // namespace ISA_NS
