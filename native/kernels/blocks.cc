// Weights in the formats of GGUF files: read from blocks, and stored in blocks of 1 or 32 weights. One sweep, limited by memory.
// Layouts and contracts: src/tensor/reference/blocks/.
#include "blocks.h"
#include "rows.h"

namespace ISA_NS {
namespace {

// As a conversion on x86 followed by a cast to int8: 0 for what no int holds.
ALWAYS_INLINE int32_t to_int(float x) { return x > -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : 0; }

ALWAYS_INLINE float inverse(float scale) { return scale != 0 ? 1.0f / scale : 0.0f; }

// ---- one weight a block

bool store_f16(uint8_t* blocks, const float* x, int64_t count) {
  auto* halves = reinterpret_cast<u16_unaligned*>(blocks);
  uint32_t special = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint16_t half = half_of(x[i]);
    halves[i] = half;
    special |= (half & 0x7C00) == 0x7C00;
  }
  return special == 0;
}

bool store_bf16(uint8_t* blocks, const float* x, int64_t count) {
  auto* words = reinterpret_cast<u16_unaligned*>(blocks);
  uint32_t special = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint32_t bits = bits_of(x[i]);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    const uint32_t word = (bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded;
    words[i] = static_cast<uint16_t>(word);
    special |= (word & 0x7F80) == 0x7F80;
  }
  return special == 0;
}

void load_f16(float* y, const uint8_t* blocks, int64_t count) {
  const auto* halves = reinterpret_cast<const u16_unaligned*>(blocks);
  for (int64_t i = 0; i < count; i++) y[i] = float_of_half(halves[i]);
}

void load_bf16(float* y, const uint8_t* blocks, int64_t count) {
  const auto* words = reinterpret_cast<const u16_unaligned*>(blocks);
  for (int64_t i = 0; i < count; i++) y[i] = float_of(static_cast<uint32_t>(words[i]) << 16);
}

// ---- 32 weights a block

bool quantize_q8_0(uint8_t* block, const float* x) {
  const uint32_t most = largest_bits(x, 32);
  const float scale = float_of(most) / 127.0f, factor = inverse(scale);
  const float stored = store_half(block, scale);
  int8_t levels[32];
  for (int j = 0; j < 32; j++) {
    const float product = x[j] * factor;
    const float value = product > -2147483648.0f && product < 2147483648.0f ? product : 0.0f;
    const int32_t whole = static_cast<int32_t>(value);
    const float rest = value - static_cast<float>(whole);
    // Halves are rounded away from zero.
    levels[j] = static_cast<int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
  }
  memcpy(block + 2, levels, sizeof levels);
  return most < too_large && is_finite_half(stored);
}

// Halves of 4 bits, and the fifth bits in a word before them.
template <int bits>
ALWAYS_INLINE void store_levels(uint8_t* p, const uint8_t* levels) {
  if (bits == 5) {
    uint32_t fifths = 0;
    for (int j = 0; j < 32; j++) fifths |= static_cast<uint32_t>(levels[j] >> 4 & 1) << j;
    memcpy(p, &fifths, sizeof fifths);
    p += sizeof fifths;
  }
  for (int j = 0; j < 16; j++) p[j] = static_cast<uint8_t>((levels[j] & 15) | levels[j + 16] << 4);
}

// Q4_0 and Q5_0: the value farthest from 0, the first of equals, becomes the lowest level.
template <int bits>
bool quantize_signed(uint8_t* block, const float* x) {
  constexpr int middle = 1 << (bits - 1);
  const uint32_t most = largest_bits(x, 32);
  int first = 32;
  for (int j = 31; j >= 0; j--) first = (bits_of(x[j]) & 0x7FFFFFFF) == most ? j : first;
  const float scale = (most == 0 ? 0.0f : x[first]) / -static_cast<float>(middle), factor = inverse(scale);
  const float stored = store_half(block, scale);
  uint8_t levels[32];
  for (int j = 0; j < 32; j++) {
    const int32_t level = static_cast<int8_t>(to_int(x[j] * factor + (middle + 0.5f)));
    levels[j] = static_cast<uint8_t>(level < 2 * middle - 1 ? level : 2 * middle - 1);
  }
  store_levels<bits>(block + 2, levels);
  return most < too_large && is_finite_half(stored);
}

// Q4_1 and Q5_1: levels from the least value to the largest.
template <int bits>
bool quantize_shifted(uint8_t* block, const float* x) {
  constexpr int last = (1 << bits) - 1;
  float least = x[0], most = x[0];
  for (int j = 1; j < 32; j++) {
    least = x[j] < least ? x[j] : least;
    most = x[j] > most ? x[j] : most;
  }
  const float scale = (most - least) / static_cast<float>(last), factor = inverse(scale);
  const float stored = store_half(block, scale), stored_least = store_half(block + 2, least);
  uint8_t levels[32];
  for (int j = 0; j < 32; j++) {
    const int32_t level = to_int((x[j] - least) * factor + 0.5f);
    const int32_t byte = static_cast<int8_t>(level);
    levels[j] = static_cast<uint8_t>(bits == 4 ? (byte < last ? byte : last) : level);
  }
  store_levels<bits>(block + 4, levels);
  return largest_bits(x, 32) < too_large && is_finite_half(stored) && is_finite_half(stored_least);
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
  for (int j = 0; j < 16; j++) {
    const int group = j >> 3, quarter = j >> 1 & 3, start = 16 * (j & 1);
    const uint8_t* low = block + 64 * group + 32 * (quarter & 1) + start;
    const uint8_t* high = block + 128 + 32 * group + start;
    const float scale = d * static_cast<float>(scales[j]);
    for (int l = 0; l < 16; l++) {
      const int level = (low[l] >> 4 * (quarter >> 1) & 15) | (high[l] >> 2 * quarter & 3) << 4;
      y[16 * j + l] = scale * static_cast<float>(level - 32);
    }
  }
}

void dequantize_q2_k(float* y, const uint8_t* block) {
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int j = 0; j < 16; j++) {
    const uint8_t* pairs = block + 16 + 32 * (j >> 3) + 16 * (j & 1);
    const float scale = d * static_cast<float>(block[j] & 15), least = dmin * static_cast<float>(block[j] >> 4);
    for (int l = 0; l < 16; l++) y[16 * j + l] = scale * static_cast<float>(pairs[l] >> 2 * (j >> 1 & 3) & 3) - least;
  }
}

void dequantize_q3_k(float* y, const uint8_t* block) {
  const float d = load_half(block + 108);
  const uint8_t* packed = block + 96;
  for (int j = 0; j < 16; j++) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4, high = packed[8 + (j & 3)] >> 2 * (j >> 2) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    const uint8_t *thirds = block + 16 * (j & 1), *pairs = block + 32 + 32 * (j >> 3) + 16 * (j & 1);
    for (int l = 0; l < 16; l++) {
      const int level = (pairs[l] >> 2 * (j >> 1 & 3) & 3) + (thirds[l] >> (j >> 1) & 1) * 4 - 4;
      y[16 * j + l] = scale * static_cast<float>(level);
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
