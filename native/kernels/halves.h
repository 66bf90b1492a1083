// 16-bit floats by whole numbers only, so that loops over them become vectors on every instruction set. As in src/base/half.ts.
#pragma once
#include "isa.h"

namespace ISA_NS {

ALWAYS_INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
ALWAYS_INLINE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// To nearest, ties to even.
ALWAYS_INLINE uint16_t half_of(float x) {
  const uint32_t bits = bits_of(x), size = bits & 0x7FFFFFFF;
  // Below 2^-14 a half counts in units of 2^-24, as does a float from 0.5 to 1.
  const uint32_t small = bits_of(float_of(size) + 0.5f) - 0x3F000000;
  const uint32_t normal = (size + 0xFFF + (size >> 13 & 1) - 0x38000000) >> 13;
  const uint32_t special = size > 0x7F800000 ? 0x7E00 : 0x7C00;
  const uint32_t half = size >= 0x47800000 ? special : size < 0x38800000 ? small : normal;
  return static_cast<uint16_t>(half | (bits >> 16 & 0x8000));
}

ALWAYS_INLINE float float_of_half(uint16_t half) {
  const uint32_t size = half & 0x7FFF, sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t small = bits_of(static_cast<float>(static_cast<int32_t>(size)) * 0x1p-24f);
  const uint32_t large = (size << 13) + (size < 0x7C00 ? 0x38000000 : 0x70000000);
  return float_of(sign | (size < 0x400 ? small : large));
}

// At any address.
ALWAYS_INLINE uint16_t load_word(const uint8_t* p) {
  uint16_t word;
  memcpy(&word, p, sizeof word);
  return word;
}
ALWAYS_INLINE void store_word(uint8_t* p, uint16_t word) { memcpy(p, &word, sizeof word); }

ALWAYS_INLINE float load_half(const uint8_t* p) { return float_of_half(load_word(p)); }

// The half that was stored, as a float.
ALWAYS_INLINE float store_half(uint8_t* p, float x) {
  const uint16_t half = half_of(x);
  store_word(p, half);
  return float_of_half(half);
}

}  // namespace ISA_NS
