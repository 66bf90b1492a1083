// Gated linear unit (Shazeer 2020): activation(gate) * up, gate and up side by side in a row.
#include <cmath>

#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

// gelu by erf, lane by lane
ALWAYS_INLINE vf normal_cdf(vf x) {
  float lanes[W];
  store(lanes, x);
  for (int i = 0; i < W; i++) lanes[i] = 0.5f * (1.0f + erff(lanes[i] * 0.70710678f));
  return load(lanes);
}

struct Curve {
  vf value, slope;
};

template <Activation activation>
ALWAYS_INLINE vf activate(vf x) {
  if constexpr (activation == Activation::silu) return x * vsigmoid(x);
  if constexpr (activation == Activation::gelu_tanh) return vgelu_tanh(x);
  return x * normal_cdf(x);
}

template <Activation activation>
ALWAYS_INLINE Curve curve(vf x) {
  if constexpr (activation == Activation::silu) {
    const vf s = vsigmoid(x);
    return {x * s, s * (1.0f + x * (1.0f - s))};
  }
  if constexpr (activation == Activation::gelu_tanh) return {vgelu_tanh(x), vgelu_tanh_slope(x)};
  const vf cdf = normal_cdf(x);
  return {x * cdf, cdf + x * 0.39894228f * vexp(-0.5f * x * x)};
}

// Floats between a place in a row and that which is fetched with it: gate and up are streams that break at every row, which
// the hardware does not foresee. Long rows need no help.
int64_t fetch_distance(int64_t hidden) { return hidden <= 512 ? 4 * hidden : hidden <= 4096 ? 2 * hidden : 0; }

template <Activation activation>
void forward_with(float* h, const float* gate_up, int64_t rows, int64_t hidden) {
  const int64_t ahead = fetch_distance(hidden);
  for_rows(rows, 3 * hidden, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float *gate = gate_up + r * 2 * hidden, *up = gate + hidden;
      float* out = h + r * hidden;
      for_vectors(hidden, [&](int64_t i, auto load_at, auto store_at) {
        __builtin_prefetch(gate + ahead + i);
        __builtin_prefetch(up + ahead + i);
        store_at(out + i, activate<activation>(load_at(gate + i)) * load_at(up + i));
      });
    }
  });
}

template <Activation activation>
void backward_with(float* dgate_up, const float* dh, const float* gate_up, int64_t rows, int64_t hidden) {
  const int64_t ahead = fetch_distance(hidden);
  for_rows(rows, 5 * hidden, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float *gate = gate_up + r * 2 * hidden, *up = gate + hidden, *dout = dh + r * hidden;
      float *dgate = dgate_up + r * 2 * hidden, *dup = dgate + hidden;
      for_vectors(hidden, [&](int64_t i, auto load_at, auto store_at) {
        __builtin_prefetch(gate + ahead + i);
        __builtin_prefetch(up + ahead + i);
        __builtin_prefetch(dgate + ahead + i, 1);
        __builtin_prefetch(dup + ahead + i, 1);
        const vf d = load_at(dout + i), u = load_at(up + i);
        const Curve c = curve<activation>(load_at(gate + i));
        store_at(dgate + i, d * u * c.slope);
        store_at(dup + i, d * c.value);
      });
    }
  });
}

void forward(float* h, const float* gate_up, int64_t rows, int64_t hidden, Activation activation) {
  switch (activation) {
    case Activation::silu: return forward_with<Activation::silu>(h, gate_up, rows, hidden);
    case Activation::gelu: return forward_with<Activation::gelu>(h, gate_up, rows, hidden);
    case Activation::gelu_tanh: return forward_with<Activation::gelu_tanh>(h, gate_up, rows, hidden);
  }
}

void backward(float* dgate_up, const float* dh, const float* gate_up, int64_t rows, int64_t hidden,
              Activation activation) {
  switch (activation) {
    case Activation::silu: return backward_with<Activation::silu>(dgate_up, dh, gate_up, rows, hidden);
    case Activation::gelu: return backward_with<Activation::gelu>(dgate_up, dh, gate_up, rows, hidden);
    case Activation::gelu_tanh: return backward_with<Activation::gelu_tanh>(dgate_up, dh, gate_up, rows, hidden);
  }
}

}  // namespace

void fill_glu(KernelTable& table) { table.glu = {forward, backward}; }

}  // namespace ISA_NS
