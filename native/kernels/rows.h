// Rows of floats: how they are cut into pieces, and reductions along one.
#pragma once
#include "isa.h"
#include "pool.h"

namespace ISA_NS {

constexpr int64_t piece_floats = 1 << 14;

// Calls body(from, to) for pieces of 0..length, about 64 KiB of floats each, whatever the number of threads.
template <typename F>
ALWAYS_INLINE void for_pieces(int64_t length, F&& body) {
  pool::parallel_for((length + piece_floats - 1) / piece_floats, [&](int64_t piece) {
    body(piece * piece_floats, min64(length, (piece + 1) * piece_floats));
  });
}

// Rows of a piece, so that it holds about as many floats.
ALWAYS_INLINE int64_t rows_per_piece(int64_t dim) { return max64(1, piece_floats / max64(1, dim)); }

// The same for rows of `dim` floats: body(first row, last row + 1).
template <typename F>
ALWAYS_INLINE void for_rows(int64_t rows, int64_t dim, F&& body) {
  const int64_t step = rows_per_piece(dim);
  pool::parallel_for((rows + step - 1) / step,
                     [&](int64_t piece) { body(piece * step, min64(rows, (piece + 1) * step)); });
}

// Sum over i of term(i) with term on vectors: term(load) for whole vectors, zeros loaded past the end.
template <typename F>
ALWAYS_INLINE float sum_over(int64_t dim, F&& term) {
  vf low = {}, high = {};
  int64_t i = 0;
  for (; i + 2 * W <= dim; i += 2 * W) {
    low += term(i, int64_t{W});
    high += term(i + W, int64_t{W});
  }
  for (; i < dim; i += W) low += term(i, min64(W, dim - i));
  return reduce_add(low + high);
}

// The first `count` <= W lanes; a whole vector goes without a call of memcpy.
ALWAYS_INLINE void store_up_to(float* p, vf v, int64_t count) {
  if (count == W) store(p, v);
  else store_partial(p, v, count);
}
ALWAYS_INLINE vf load_up_to(const float* p, int64_t count) { return count == W ? load(p) : load_partial(p, count); }

// body(i, load, store) for every vector of 0..n: loads and stores of whole ones, at the end of those lanes that exist.
template <typename F>
ALWAYS_INLINE void for_vectors(int64_t n, F&& body) {
  int64_t i = 0;
  for (; i + W <= n; i += W)
    body(i, [](const float* p) { return load(p); }, [](float* p, vf v) { store(p, v); });
  const int64_t left = n - i;
  if (left > 0)
    body(i, [=](const float* p) { return load_partial(p, left); }, [=](float* p, vf v) { store_partial(p, v, left); });
}

}  // namespace ISA_NS
