// Vectors of the instruction set this file is compiled for: `vf` is W floats, loads and stores are unaligned.
// Written with the vector extensions of GCC and Clang, so that one text serves SSE2, AVX2, AVX-512 and NEON.
// Everything is static: an inline function shared between instruction sets could be merged by the linker into the copy
// of a set the processor lacks. For the same reason kernels use no templates of the standard library.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512BF16__)
#define ISA_HAS_BF16 1
#else
#define ISA_HAS_BF16 0
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// Keeps a vector as computed here: the compiler neither drops it nor fuses its product with a later sum.
#if defined(__x86_64__)
#define PIN(value) asm volatile("" : "+v"(value))
#elif defined(__aarch64__)
#define PIN(value) asm volatile("" : "+w"(value))
#endif

namespace ISA_NS {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef uint32_t vu __attribute__((vector_size(W * 4)));
typedef float vf_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t vi_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));

ALWAYS_INLINE vf load(const float* p) { return *(const vf_unaligned*)p; }
ALWAYS_INLINE void store(float* p, vf v) { *(vf_unaligned*)p = v; }
ALWAYS_INLINE vi load_int(const void* p) { return *(const vi_unaligned*)p; }
ALWAYS_INLINE void store_int(void* p, vi v) { *(vi_unaligned*)p = v; }
ALWAYS_INLINE vf splat(float x) { return x - vf{}; }
ALWAYS_INLINE vi splat_int(int32_t x) { return x - vi{}; }
ALWAYS_INLINE vf select(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
// a > b ? a : b and a < b ? a : b, so b where one is not a number.
#if defined(__AVX512F__)
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)_mm512_maskz_min_ps(0xFFFF, (__m512)a, (__m512)b); }
#elif defined(__AVX2__)
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
ALWAYS_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
ALWAYS_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }
#endif
ALWAYS_INLINE vf vsqrt(vf x) {
#if defined(__AVX512F__)
  return (vf)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)x);
#else
  for (int i = 0; i < W; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

ALWAYS_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
ALWAYS_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

#if defined(__AVX2__) && !defined(__AVX512F__)
ALWAYS_INLINE __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// The first `count` < W elements, zeros behind; and the store of as many.
ALWAYS_INLINE vf load_partial(const float* p, int64_t count) {
#if defined(__AVX512F__)
  return (vf)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#elif defined(__AVX2__)
  return (vf)_mm256_maskload_ps(p, first_lanes(count));
#else
  vf v = {};
  for (int i = 0; i < W; i++)
    if (i < count) v[i] = p[i];
  return v;
#endif
}
ALWAYS_INLINE void store_partial(float* p, vf v, int64_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, first_lanes(count), (__m256)v);
#else
  for (int i = 0; i < W; i++)
    if (i < count) p[i] = v[i];
#endif
}

// Sum and maximum of the lanes, always in the same order (halves folded).
ALWAYS_INLINE float reduce_add(vf v) {
#if defined(__AVX512F__)
  const __m256 eight = _mm512_maskz_extractf32x8_ps(0xFF, (__m512)v, 0) + _mm512_maskz_extractf32x8_ps(0xFF, (__m512)v, 1);
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
  const __m128 two = four + _mm_movehl_ps(four, four);
  return two[0] + two[1];
#elif defined(__AVX2__)
  const __m128 four = _mm256_castps256_ps128((__m256)v) + _mm256_extractf128_ps((__m256)v, 1);
  const __m128 two = four + _mm_movehl_ps(four, four);
  return two[0] + two[1];
#else
  float lanes[W];
  store(lanes, v);
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
#endif
}
ALWAYS_INLINE float reduce_max(vf v) {
#if defined(__AVX512F__)
  const __m256 eight = _mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xFF, (__m512)v, 0), _mm512_maskz_extractf32x8_ps(0xFF, (__m512)v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return two[0] > two[1] ? two[0] : two[1];
#elif defined(__AVX2__)
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return two[0] > two[1] ? two[0] : two[1];
#else
  float lanes[W];
  store(lanes, v);
  float best = lanes[0];
  for (int i = 1; i < W; i++) best = lanes[i] > best ? lanes[i] : best;
  return best;
#endif
}

constexpr float kLog2E = 1.44269504f;
constexpr float kShiftToInteger = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, held by the lower bits

ALWAYS_INLINE vf power_of_two(vi power) { return (vf)((power + 127) << 23); }

// exp with a relative error below 2e-7 (Cephes' polynomial); 0 below -87.3, infinity above 88.7, NaN stays NaN.
ALWAYS_INLINE vf vexp(vf x) {
  const vf bounded = vmin(splat(88.73f), vmax(splat(-87.4f), x));
  const vf n = (bounded * kLog2E + kShiftToInteger) - kShiftToInteger;
  const vf r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const vi power = (vi)(n + kShiftToInteger) - splat_int(0x4B400000), half = power >> 1;  // 2^128 has no float: scale in two steps
  vf result = (p * r * r + r + 1.0f) * power_of_two(half) * power_of_two(power - half);
  result = select(x < splat(-87.33f), vf{}, result);
  result = select(x > splat(88.722f), splat(__builtin_inff()), result);
  return select(x == x, result, x);
}

// 2^x of |x| <= 0.5 with a relative error below 2e-7 (Cephes' polynomial).
ALWAYS_INLINE vf exp2_of_fraction(vf x) {
  vf p = splat(1.535336188e-4f);
  p = p * x + 1.339887440e-3f;
  p = p * x + 9.618437357e-3f;
  p = p * x + 5.550332472e-2f;
  p = p * x + 2.402264792e-1f;
  p = p * x + 6.931472029e-1f;
  return p * x + 1.0f;
}

// 2^x of x <= 1 for softmax; 0 below -126, NaN stays NaN.
ALWAYS_INLINE vf vexp2_of_low(vf x) {
  const vf bounded = vmax(splat(-126.0f), x), shifted = bounded + kShiftToInteger;
  const vf p = exp2_of_fraction(bounded - (shifted - kShiftToInteger));
  return select(x < splat(-126.0f), vf{}, p * (vf)(((vi)shifted << 23) + 0x3F800000));
}

// exp for sums with 1: that of -87 below it, infinity above 88.3, NaN stays NaN.
ALWAYS_INLINE vf vexp_bounded(vf x) {
  const vf bounded = vmin(splat(89.0f), vmax(splat(-87.0f), x));
  const vf shifted = bounded * kLog2E + kShiftToInteger, n = shifted - kShiftToInteger;
  const vf r = (bounded * kLog2E - n) + bounded * 1.92596299e-8f;
  return exp2_of_fraction(r) * (vf)(((vi)shifted << 23) + 0x3F800000);
}

// tanh by exp; accurate to 4e-7 absolute. sigmoid likewise.
ALWAYS_INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp_bounded(-x)); }
ALWAYS_INLINE vf vtanh(vf x) { return 2.0f / (1.0f + vexp_bounded(-2.0f * x)) - 1.0f; }

// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3), and its derivative; both by the sigmoid, whose
// complement keeps its digits where tanh is near 1. Hendrycks and Gimpel 2016.
ALWAYS_INLINE vf vgelu_tanh(vf x) { return x * vsigmoid(1.59576912f * (x + 0.044715f * x * x * x)); }
ALWAYS_INLINE vf vgelu_tanh_slope(vf x) {
  const vf u = 1.59576912f * (x + 0.044715f * x * x * x), s = vsigmoid(u);
  return s + x * s * vsigmoid(-u) * (1.59576912f * (1.0f + 0.134145f * x * x));
}

// Rounds to bf16, to nearest even, kept in the upper half of a float.
ALWAYS_INLINE vf round_bf16(vf x) {
  vi bits = (vi)x;
  vi rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & (int32_t)0xFFFF0000;
  return select(x == x, (vf)rounded, x);
}
ALWAYS_INLINE float round_bf16(float x) { return round_bf16(splat(x))[0]; }

}  // namespace ISA_NS
