// Elementwise kernels and sums, limited by memory: pieces of fixed size, each one sweep.
#include <cmath>

#include "families.h"
#include "memory.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void fill(float* y, float value, int64_t length) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) y[i] = value;
  });
}

void scale(float* y, const float* x, float alpha, int64_t length, bool accumulate) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    if (accumulate)
      for (int64_t i = from; i < to; i++) y[i] += alpha * x[i];
    else
      for (int64_t i = from; i < to; i++) y[i] = alpha * x[i];
  });
}

ALWAYS_INLINE float gelu_of(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
ALWAYS_INLINE float gelu_slope(float x) {
  return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}

// Lane by lane through a function of floats.
template <typename F>
ALWAYS_INLINE vf lanes(vf x, F&& f) {
  float values[W];
  store(values, x);
  for (int i = 0; i < W; i++) values[i] = f(values[i]);
  return load(values);
}

template <Unary op>
ALWAYS_INLINE vf apply(vf x) {
  if constexpr (op == Unary::neg) return -x;
  if constexpr (op == Unary::exp) return vexp(x);
  if constexpr (op == Unary::log) return lanes(x, [](float v) { return logf(v); });
  if constexpr (op == Unary::tanh) return vtanh(x);
  if constexpr (op == Unary::sigmoid) return vsigmoid(x);
  if constexpr (op == Unary::silu) return x * vsigmoid(x);
  if constexpr (op == Unary::gelu) return lanes(x, [](float v) { return gelu_of(v); });
  if constexpr (op == Unary::gelu_tanh) return vgelu_tanh(x);
  if constexpr (op == Unary::relu) return vmax(x, vf{});
  if constexpr (op == Unary::square) return x * x;
  if constexpr (op == Unary::sqrt) return vsqrt(x);
}

// Derivative at x, where y = op(x).
template <Unary op>
ALWAYS_INLINE vf slope(vf x, vf y) {
  if constexpr (op == Unary::neg) return splat(-1.0f);
  if constexpr (op == Unary::exp) return y;
  if constexpr (op == Unary::log) return 1.0f / x;
  if constexpr (op == Unary::tanh) return 1.0f - y * y;
  if constexpr (op == Unary::sigmoid) return y * (1.0f - y);
  if constexpr (op == Unary::silu) {
    const vf s = vsigmoid(x);
    return s * (1.0f + x * (1.0f - s));
  }
  if constexpr (op == Unary::gelu) return lanes(x, [](float v) { return gelu_slope(v); });
  if constexpr (op == Unary::gelu_tanh) return vgelu_tanh_slope(x);
  if constexpr (op == Unary::relu) return select(x > vf{}, splat(1.0f), vf{});
  if constexpr (op == Unary::square) return 2.0f * x;
  if constexpr (op == Unary::sqrt) return 0.5f / y;
}

template <Unary op>
void run_unary(float* y, const float* x, int64_t length) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    int64_t i = from;
    for (; i + W <= to; i += W) store(y + i, apply<op>(load(x + i)));
    if (i < to) store_partial(y + i, apply<op>(load_partial(x + i, to - i)), to - i);
  });
}

template <Unary op>
void run_unary_backward(float* dx, const float* dy, const float* x, const float* y, int64_t length, bool accumulate) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i += W) {
      const int64_t count = min64(W, to - i);
      vf d = load_up_to(dy + i, count) * slope<op>(load_up_to(x + i, count), load_up_to(y + i, count));
      if (accumulate) d += load_up_to(dx + i, count);
      store_up_to(dx + i, d, count);
    }
  });
}

#define FOR_UNARY(run, ...)                                          \
  switch (op) {                                                      \
    case Unary::neg: return run<Unary::neg>(__VA_ARGS__);            \
    case Unary::exp: return run<Unary::exp>(__VA_ARGS__);            \
    case Unary::log: return run<Unary::log>(__VA_ARGS__);            \
    case Unary::tanh: return run<Unary::tanh>(__VA_ARGS__);          \
    case Unary::sigmoid: return run<Unary::sigmoid>(__VA_ARGS__);    \
    case Unary::silu: return run<Unary::silu>(__VA_ARGS__);          \
    case Unary::gelu: return run<Unary::gelu>(__VA_ARGS__);          \
    case Unary::gelu_tanh: return run<Unary::gelu_tanh>(__VA_ARGS__); \
    case Unary::relu: return run<Unary::relu>(__VA_ARGS__);          \
    case Unary::square: return run<Unary::square>(__VA_ARGS__);      \
    case Unary::sqrt: return run<Unary::sqrt>(__VA_ARGS__);          \
  }

void unary(Unary op, float* y, const float* x, int64_t length) { FOR_UNARY(run_unary, y, x, length) }

void unary_backward(Unary op, float* dx, const float* dy, const float* x, const float* y, int64_t length,
                    bool accumulate) {
  FOR_UNARY(run_unary_backward, dx, dy, x, y, length, accumulate)
}

ALWAYS_INLINE void combine(Binary op, float* y, const float* a, const float* b, int64_t length) {
  switch (op) {
    case Binary::add:
      for (int64_t i = 0; i < length; i++) y[i] = a[i] + b[i];
      break;
    case Binary::sub:
      for (int64_t i = 0; i < length; i++) y[i] = a[i] - b[i];
      break;
    case Binary::mul:
      for (int64_t i = 0; i < length; i++) y[i] = a[i] * b[i];
      break;
    case Binary::div:
      for (int64_t i = 0; i < length; i++) y[i] = a[i] / b[i];
      break;
  }
}

void binary(Binary op, float* y, const float* a, const float* b, int64_t length) {
  for_pieces(length, [&](int64_t from, int64_t to) { combine(op, y + from, a + from, b + from, to - from); });
}

void binary_row(Binary op, float* y, const float* a, const float* b, int64_t rows, int64_t dim) {
  for_rows(rows, dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) combine(op, y + r * dim, a + r * dim, b, dim);
  });
}

// Partial sums of every piece in eight double lanes, then the pieces in order.
template <typename F>
ALWAYS_INLINE double sum_in_pieces(int64_t length, F&& term) {
  const int64_t pieces = (length + piece_floats - 1) / piece_floats;
  double* partial = static_cast<double*>(memory::scratch(memory::Slot::shared, (pieces + 1) * sizeof(double)));
  pool::parallel_for(pieces, [&](int64_t piece) {
    const int64_t from = piece * piece_floats, to = min64(length, from + piece_floats);
    double acc[8] = {};
    int64_t i = from;
    for (; i + 8 <= to; i += 8)
      for (int lane = 0; lane < 8; lane++) acc[lane] += term(i + lane);
    for (; i < to; i++) acc[0] += term(i);
    partial[piece] = ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
  });
  double total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += partial[piece];
  return total;
}

double sum(const float* x, int64_t length) {
  return sum_in_pieces(length, [&](int64_t i) { return static_cast<double>(x[i]); });
}

double sum_of_squares(const float* x, int64_t length) {
  return sum_in_pieces(length, [&](int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); });
}

void column_sum(float* sums, const float* x, int64_t rows, int64_t dim, bool accumulate) {
  const int64_t step = rows_per_piece(dim), pieces = (rows + step - 1) / step;
  float* partial = static_cast<float*>(memory::scratch(memory::Slot::shared, (pieces * dim + 1) * sizeof(float)));
  pool::parallel_for(pieces, [&](int64_t piece) {
    float* own = partial + piece * dim;
    for (int64_t i = 0; i < dim; i++) own[i] = 0.0f;
    for (int64_t r = piece * step; r < min64(rows, (piece + 1) * step); r++)
      for (int64_t i = 0; i < dim; i++) own[i] += x[r * dim + i];
  });
  if (!accumulate)
    for (int64_t i = 0; i < dim; i++) sums[i] = 0.0f;
  for (int64_t piece = 0; piece < pieces; piece++)
    for (int64_t i = 0; i < dim; i++) sums[i] += partial[piece * dim + i];
}

}  // namespace

void fill_elementwise(KernelTable& table) {
  table.elementwise = {fill, scale, unary, unary_backward, binary, binary_row, sum, sum_of_squares, column_sum};
}

}  // namespace ISA_NS
