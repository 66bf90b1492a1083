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

ALWAYS_INLINE Curve curve(vf x, Activation activation) {
  if (activation == Activation::silu) {
    const vf s = vsigmoid(x);
    return {x * s, s * (1.0f + x * (1.0f - s))};
  }
  const vf cdf = normal_cdf(x);
  return {x * cdf, cdf + x * 0.39894228f * vexp(-0.5f * x * x)};
}

void forward(float* h, const float* gate_up, int64_t rows, int64_t hidden, Activation activation) {
  for_rows(rows, 3 * hidden, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* gate = gate_up + r * 2 * hidden;
      const float* up = gate + hidden;
      for (int64_t i = 0; i < hidden; i += W) {
        const int64_t count = min64(W, hidden - i);
        const vf g = load_up_to(gate + i, count);
        const vf y = (activation == Activation::silu ? g * vsigmoid(g) : g * normal_cdf(g)) * load_up_to(up + i, count);
        store_up_to(h + r * hidden + i, y, count);
      }
    }
  });
}

void backward(float* dgate_up, const float* dh, const float* gate_up, int64_t rows, int64_t hidden,
              Activation activation) {
  for_rows(rows, 5 * hidden, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* gate = gate_up + r * 2 * hidden;
      float* dgate = dgate_up + r * 2 * hidden;
      for (int64_t i = 0; i < hidden; i += W) {
        const int64_t count = min64(W, hidden - i);
        const vf d = load_up_to(dh + r * hidden + i, count), up = load_up_to(gate + hidden + i, count);
        const Curve c = curve(load_up_to(gate + i, count), activation);
        store_up_to(dgate + i, d * up * c.slope, count);
        store_up_to(dgate + hidden + i, d * c.value, count);
      }
    }
  });
}

}  // namespace

void fill_glu(KernelTable& table) { table.glu = {forward, backward}; }

}  // namespace ISA_NS
