// Blocks of bytes into the lanes of a checksum: the definition, in plain TypeScript, is src/tensor/checksum.ts.
#include <cstring>

#include "arguments.h"

namespace {

constexpr int lanes = 64;

inline __attribute__((always_inline)) void add_blocks(uint32_t* state, const uint8_t* bytes, int64_t blocks) {
  uint32_t h[lanes], words[lanes];
  memcpy(h, state, sizeof h);
  for (int64_t b = 0; b < blocks; b++, bytes += sizeof words) {
    memcpy(words, bytes, sizeof words);
    for (int i = 0; i < lanes; i++) {
      const uint32_t x = h[i] ^ words[i];
      h[i] = (x << 13 | x >> 19) * 0x85EBCA77u;
    }
  }
  memcpy(state, h, sizeof h);
}

#if defined(__x86_64__)
// 32-bit products of vectors came after the baseline.
__attribute__((target("avx2"))) void add_blocks_avx2(uint32_t* state, const uint8_t* bytes, int64_t blocks) {
  add_blocks(state, bytes, blocks);
}
#endif

// (state of 64 lanes, bytes: whole blocks of 256)
napi_value checksum_blocks(Arguments& a, const KernelTable&) {
  uint32_t* state = reinterpret_cast<uint32_t*>(a.i32(0, "state", Size(lanes)));
  const uint8_t* bytes = a.u8(1, "bytes");
  const int64_t length = a.length(1), block = lanes * sizeof(uint32_t);
  if (length % block != 0) a.fail("bytes must be whole blocks of 256");
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    add_blocks_avx2(state, bytes, length / block);
    return nullptr;
  }
#endif
  add_blocks(state, bytes, length / block);
  return nullptr;
}

}  // namespace

const NamedMethod checksum_methods[] = {{"checksumBlocks", checksum_blocks}, {nullptr, nullptr}};
