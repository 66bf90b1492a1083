// What the two files of block formats share. Both are compiled without fused multiply-adds: every operation rounds, as in
// ggml and in the reference (src/tensor/reference/blocks/), so the bits are the same everywhere.
#pragma once
#include "families.h"
#include "halves.h"

namespace ISA_NS {

// Values from here on are not stored in blocks: src/tensor/reference/blocks/index.ts.
constexpr uint32_t too_large = 0x53800000;  // 2^40

// Bits of the largest |x|; larger than those of infinity where one is not a number.
ALWAYS_INLINE uint32_t largest_bits(const float* x, int count) {
  uint32_t most = 0;
  for (int i = 0; i < count; i++) {
    const uint32_t size = bits_of(x[i]) & 0x7FFFFFFF;
    most = size > most ? size : most;
  }
  return most;
}

ALWAYS_INLINE bool is_finite_half(float stored) { return (bits_of(stored) & 0x7F800000) != 0x7F800000; }

// Super-blocks of 256; whether each stands for its weights.
bool quantize_q4_k(uint8_t* blocks, const float* x, int64_t count);
bool quantize_q6_k(uint8_t* blocks, const float* x, int64_t count);

}  // namespace ISA_NS
