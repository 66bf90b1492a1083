// How operands are stored for the register tiles: rows as elements (floats, or pairs of bf16 along the row), panels of
// kPanel columns, and panels turned from rows. `rounded` emulates bf16 in floats where the hardware has none.
#pragma once
#include "tile.h"

namespace ISA_NS {

static inline float keep(float x, bool rounded) { return rounded ? round_bf16(x) : x; }

// Row-major floats to elements: out[i] for i in 0..ceil(k / kPerElement)-1.
template <typename P>
inline void copy_row(float* out, const float* x, int64_t k, bool rounded) {
  int64_t i = 0;
#if ISA_HAS_BF16
  if constexpr (P::kPerElement == 2) {
    for (; i + 32 <= k; i += 32) {
      const __m512bh pair = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
      _mm512_storeu_si512(out + i / 2, (__m512i)pair);
    }
    for (; i < k; i += 2) {
      uint32_t low, high = 0;
      const float a = round_bf16(x[i]), b = i + 1 < k ? round_bf16(x[i + 1]) : 0.0f;
      memcpy(&low, &a, 4);
      memcpy(&high, &b, 4);
      const uint32_t both = (low >> 16) | (high & 0xffff0000u);
      memcpy(out + i / 2, &both, 4);
    }
    return;
  }
#endif
  if (rounded) {
    for (; i + W <= k; i += W) store(out + i, round_bf16(load(x + i)));
  } else {
    for (; i + W <= k; i += W) store(out + i, load(x + i));
  }
  for (; i < k; i++) out[i] = keep(x[i], rounded);
}

// W columns of rows x0 (and, for pairs, x1) as elements.
template <typename P>
ALWAYS_INLINE vf join_rows(vf x0, vf x1, bool rounded) {
#if ISA_HAS_BF16
  if constexpr (P::kPerElement == 2) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)x1, (__m512)x0);
    return (vf)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), halves);
  }
#endif
  (void)x1;
  return rounded ? round_bf16(x0) : x0;
}

// `count` columns of rows x0 (and, for pairs, x1; null: zeros) side by side: out[j] for j in 0..width-1, zeros from count.
// Writes whole vectors: up to W - 1 floats behind width.
template <typename P>
ALWAYS_INLINE void copy_columns(float* out, const float* x0, const float* x1, int64_t count, int64_t width,
                                bool rounded) {
  for (int64_t j = 0; j < width; j += W) {
    const int64_t left = count - j;
    vf low = {}, high = {};
    if (left >= W) {
      low = load(x0 + j);
      if (x1) high = load(x1 + j);
    } else if (left > 0) {
      low = load_partial(x0 + j, left);
      if (x1) high = load_partial(x1 + j, left);
    }
    store(out + j, join_rows<P>(low, high, rounded));
  }
}

constexpr int64_t kRowsAhead = 16;  // of a pass down long rows, which the hardware does not foresee

// Fetches the rows that element e + kRowsAhead is made of, where there are such; `rows` are those of element e.
template <typename P>
ALWAYS_INLINE void fetch_ahead(const float* rows, int64_t ld, int64_t e, int64_t k, int64_t columns) {
  constexpr int64_t per = P::kPerElement;
  for (int64_t r = 0; r < per && (e + kRowsAhead) * per + r < k; r++)
    for (int64_t i = 0; i < columns; i += 16) __builtin_prefetch(rows + (kRowsAhead * per + r) * ld + i);
}

// A panel [elements][kPanel] of columns first..first+count of source [k, ld].
template <typename P>
void pack_panel(float* out, const float* source, int64_t ld, int64_t first, int64_t count, int64_t k, bool rounded) {
  constexpr int per = P::kPerElement;
  for (int64_t e = 0; e * per < k; e++) {
    const float* x0 = source + e * per * ld + first;
    const float* x1 = per == 2 && e * per + 1 < k ? x0 + ld : nullptr;
    fetch_ahead<P>(x0, ld, e, k, count);
    copy_columns<P>(out + e * kPanel, x0, x1, count, kPanel, rounded);
  }
}

// Floats j..j+2W of a row as elements, stored at their place in `row`.
template <typename P>
ALWAYS_INLINE void store_elements(float* row, int64_t j, vf x0, vf x1) {
#if ISA_HAS_BF16
  if constexpr (P::kPerElement == 2) {
    _mm512_storeu_si512(row + j / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)x1, (__m512)x0));
    return;
  }
#endif
  store(row + j, x0);
  store(row + j + W, x1);
}

// W elements of a row from x, of which `left` floats remain; zeros behind them.
template <typename P>
ALWAYS_INLINE vf elements_at(const float* x, int64_t left, bool rounded) {
  const vf low = left >= W ? load(x) : left > 0 ? load_partial(x, left) : vf{};
#if ISA_HAS_BF16
  if constexpr (P::kPerElement == 2) {
    const vf high = left >= 2 * W ? load(x + W) : left > W ? load_partial(x + W, left - W) : vf{};
    return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
  }
#endif
  return rounded ? round_bf16(low) : low;
}

// The lanes of a's and b's (numbered W..2W-1) that stand in the first and the second of two rows after their squares of
// side D were exchanged.
static constexpr int low_lane(int lane, int D) { return lane & D ? W + lane - D : lane; }
static constexpr int high_lane(int lane, int D) { return lane & D ? W + lane : lane + D; }

#if defined(__clang__)
// Clang's shuffle takes its lanes as constants of the program, not as a vector.
template <typename T, T... lanes>
struct Sequence {};
template <int D, int... lanes>
ALWAYS_INLINE void exchange_pair(vf& first, vf& second, Sequence<int, lanes...>) {
  const vf a = first, b = second;
  first = __builtin_shufflevector(a, b, low_lane(lanes, D)...);
  second = __builtin_shufflevector(a, b, high_lane(lanes, D)...);
}
template <int D>
ALWAYS_INLINE void exchange_pair(vf& first, vf& second) {
  exchange_pair<D>(first, second, __make_integer_seq<Sequence, int, W>{});
}
#else
template <int D>
ALWAYS_INLINE void exchange_pair(vf& first, vf& second) {
  vi low, high;
  for (int lane = 0; lane < W; lane++) {
    low[lane] = low_lane(lane, D);
    high[lane] = high_lane(lane, D);
  }
  const vf a = first, b = second;
  first = __builtin_shuffle(a, b, low);
  second = __builtin_shuffle(a, b, high);
}
#endif

// Eklundh's transposition (1972): exchanges the off-diagonal squares of side D, then those within the squares.
template <int D>
ALWAYS_INLINE void exchange_squares(vf* rows) {
#pragma GCC unroll 16
  for (int i = 0; i < W; i++)
    if (!(i & D)) exchange_pair<D>(rows[i], rows[i + D]);
  if constexpr (D > 1) exchange_squares<D / 2>(rows);
}

// A panel [elements][kPanel] whose columns are `count` rows of k floats, `stride` apart; zeros past count.
template <typename P>
void turn_panel(float* out, const float* rows, int64_t stride, int64_t count, int64_t k, bool rounded) {
  constexpr int64_t deep = W * P::kPerElement;
  const int64_t elements = ceil_div(k, P::kPerElement);
  for (int64_t half = 0; half < kPanel; half += W)
    for (int64_t e = 0; e < elements; e += W) {
      const float* from = rows + half * stride + e * P::kPerElement;
      const int64_t left = k - e * P::kPerElement;
      float* to = out + e * kPanel + half;
      vf square[W];
      if (count - half >= W && left >= deep) {
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) square[i] = elements_at<P>(from + i * stride, deep, rounded);
        exchange_squares<W / 2>(square);
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) store(to + i * kPanel, square[i]);
      } else {
        for (int i = 0; i < W; i++)
          square[i] = half + i < count ? elements_at<P>(from + i * stride, left, rounded) : vf{};
        exchange_squares<W / 2>(square);
        for (int64_t i = 0; i < min64(W, elements - e); i++) store(to + i * kPanel, square[i]);
      }
    }
}

}  // namespace ISA_NS
