// Layer norm without bias (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019), of rows or of groups of their columns. The
// scale's gradient is summed in pieces of fixed numbers of rows, the pieces in order.
#include <cmath>

#include "families.h"
#include "memory.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void layer_forward(float* y, float* mean, float* rstd, const float* x, const float* weight, int64_t rows, int64_t dim,
                   float epsilon) {
  for_rows(rows, dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* xr = x + r * dim;
      float* yr = y + r * dim;
      const float m = sum_over(dim, [&](int64_t i, int64_t count) { return load_up_to(xr + i, count); }) / dim;
      const float variance = sum_over(dim, [&](int64_t i, int64_t count) {
                               vf d = load_up_to(xr + i, count) - m;
                               if (count < W) d = load_partial(reinterpret_cast<float*>(&d), count);
                               return d * d;
                             }) / dim;
      const float s = 1.0f / sqrtf(variance + epsilon);
      for (int64_t i = 0; i < dim; i++) yr[i] = (xr[i] - m) * s * weight[i];
      mean[r] = m;
      rstd[r] = s;
    }
  });
}

void rms_forward(float* y, float* rstd, const float* x, const float* weight, int64_t rows, int64_t dim, float epsilon) {
  for_rows(rows, dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* xr = x + r * dim;
      float* yr = y + r * dim;
      const float square = sum_over(dim, [&](int64_t i, int64_t count) {
                             const vf v = load_up_to(xr + i, count);
                             return v * v;
                           }) / dim;
      const float s = 1.0f / sqrtf(square + epsilon);
      for (int64_t i = 0; i < dim; i++) yr[i] = xr[i] * s * weight[i];
      rstd[r] = s;
    }
  });
}

// With n = (x - mean) * rstd and g = dy * weight: dx = rstd * (g - avg(g) - n * avg(g * n)); without mean (RMS norm)
// the middle term is absent.
template <bool centered>
void backward(float* dx, float* dweight, const float* dy, const float* x, const float* weight, const float* mean,
              const float* rstd, int64_t rows, int64_t dim, bool accumulate) {
  const int64_t step = rows_per_piece(dim), pieces = (rows + step - 1) / step;
  float* partial = static_cast<float*>(memory::scratch(memory::Slot::shared, (pieces * dim + 1) * sizeof(float)));
  pool::parallel_for(pieces, [&](int64_t piece) {
    float* __restrict own = partial + piece * dim;
    for (int64_t i = 0; i < dim; i++) own[i] = 0.0f;
    for (int64_t r = piece * step; r < min64(rows, (piece + 1) * step); r++) {
      const float* __restrict xr = x + r * dim;
      const float* __restrict dyr = dy + r * dim;
      float* __restrict dxr = dx + r * dim;
      const float m = centered ? mean[r] : 0.0f, s = rstd[r];
      const float average_gn = sum_over(dim, [&](int64_t i, int64_t count) {
                                 return load_up_to(dyr + i, count) * load_up_to(weight + i, count) *
                                        ((load_up_to(xr + i, count) - m) * s);
                               }) / dim;
      const float average_g = !centered ? 0.0f : sum_over(dim, [&](int64_t i, int64_t count) {
                                return load_up_to(dyr + i, count) * load_up_to(weight + i, count);
                              }) / dim;
      if (accumulate) {
        for (int64_t i = 0; i < dim; i++) {
          const float n = (xr[i] - m) * s;
          own[i] += dyr[i] * n;
          dxr[i] += s * (dyr[i] * weight[i] - average_g - n * average_gn);
        }
      } else {
        for (int64_t i = 0; i < dim; i++) {
          const float n = (xr[i] - m) * s;
          own[i] += dyr[i] * n;
          dxr[i] = s * (dyr[i] * weight[i] - average_g - n * average_gn);
        }
      }
    }
  });
  for (int64_t piece = 0; piece < pieces; piece++)
    for (int64_t i = 0; i < dim; i++) dweight[i] += partial[piece * dim + i];
}

void layer_backward(float* dx, float* dweight, const float* dy, const float* x, const float* weight, const float* mean,
                    const float* rstd, int64_t rows, int64_t dim, bool accumulate) {
  backward<true>(dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate);
}

void rms_backward(float* dx, float* dweight, const float* dy, const float* x, const float* weight, const float* rstd,
                  int64_t rows, int64_t dim, bool accumulate) {
  backward<false>(dx, dweight, dy, x, weight, nullptr, rstd, rows, dim, accumulate);
}

ALWAYS_INLINE float mean_of_products(const float* a, const float* b, const float* scale, int64_t dim) {
  return sum_over(dim, [&](int64_t i, int64_t count) {
           return load_up_to(a + i, count) * load_up_to(b + i, count) * (scale ? load_up_to(scale + i, count) : splat(1.0f));
         }) / dim;
}

void column_forward(float* y, float* rstd, const float* x, const float* weight, const ColumnGroups& shape, float epsilon) {
  const int64_t dim = shape.dim;
  for_rows(shape.rows, shape.groups * dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++)
      for (int64_t g = 0; g < shape.groups; g++) {
        const int64_t at = r * shape.columns + shape.first + g * dim;
        const float s = 1.0f / sqrtf(mean_of_products(x + at, x + at, nullptr, dim) + epsilon);
        for (int64_t i = 0; i < dim; i++) y[at + i] = x[at + i] * s * weight[i];
        rstd[r * shape.groups + g] = s;
      }
  });
}

// As `backward` without a mean.
void column_backward(float* dx, float* dweight, const float* dy, const float* x, const float* weight, const float* rstd,
                     const ColumnGroups& shape) {
  const int64_t dim = shape.dim, step = rows_per_piece(shape.groups * dim), pieces = (shape.rows + step - 1) / step;
  float* partial = static_cast<float*>(memory::scratch(memory::Slot::shared, (pieces * dim + 1) * sizeof(float)));
  pool::parallel_for(pieces, [&](int64_t piece) {
    float* own = partial + piece * dim;
    for (int64_t i = 0; i < dim; i++) own[i] = 0.0f;
    for (int64_t r = piece * step; r < min64(shape.rows, (piece + 1) * step); r++)
      for (int64_t g = 0; g < shape.groups; g++) {
        const int64_t at = r * shape.columns + shape.first + g * dim;
        const float s = rstd[r * shape.groups + g], average = mean_of_products(dy + at, x + at, weight, dim) * s;
        for (int64_t i = 0; i < dim; i++) {
          const float d = dy[at + i], n = x[at + i] * s;
          own[i] += d * n;
          dx[at + i] = s * (d * weight[i] - n * average);
        }
      }
  });
  for (int64_t piece = 0; piece < pieces; piece++)
    for (int64_t i = 0; i < dim; i++) dweight[i] += partial[piece * dim + i];
}

}  // namespace

void fill_norm(KernelTable& table) {
  table.norm = {layer_forward, layer_backward, rms_forward, rms_backward, column_forward, column_backward};
}

}  // namespace ISA_NS
