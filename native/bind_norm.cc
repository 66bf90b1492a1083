#include "arguments.h"

namespace {

// (y, mean, rstd, x, weight, rows, dim, epsilon)
napi_value layer_forward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(5, "rows"), dim = a.size(6, "dim");
  table.norm.layer_forward(a.f32(0, "y", rows * dim), a.f32(1, "mean", rows), a.f32(2, "rstd", rows),
                           a.f32(3, "x", rows * dim), a.f32(4, "weight", dim), rows, dim,
                           static_cast<float>(a.number(7, "epsilon")));
  return nullptr;
}

// (dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate)
napi_value layer_backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(7, "rows"), dim = a.size(8, "dim"), floats = rows * dim;
  table.norm.layer_backward(a.f32(0, "dx", floats), a.f32(1, "dweight", dim), a.f32(2, "dy", floats),
                            a.f32(3, "x", floats), a.f32(4, "weight", dim), a.f32(5, "mean", rows),
                            a.f32(6, "rstd", rows), rows, dim, a.flag(9));
  return nullptr;
}

// (y, rstd, x, weight, rows, dim, epsilon)
napi_value rms_forward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(4, "rows"), dim = a.size(5, "dim");
  table.norm.rms_forward(a.f32(0, "y", rows * dim), a.f32(1, "rstd", rows), a.f32(2, "x", rows * dim),
                         a.f32(3, "weight", dim), rows, dim, static_cast<float>(a.number(6, "epsilon")));
  return nullptr;
}

// (dx, dweight, dy, x, weight, rstd, rows, dim, accumulate)
napi_value rms_backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(6, "rows"), dim = a.size(7, "dim"), floats = rows * dim;
  table.norm.rms_backward(a.f32(0, "dx", floats), a.f32(1, "dweight", dim), a.f32(2, "dy", floats),
                          a.f32(3, "x", floats), a.f32(4, "weight", dim), a.f32(5, "rstd", rows), rows, dim, a.flag(8));
  return nullptr;
}

}  // namespace

const NamedMethod norm_methods[] = {{"layerNormForward", layer_forward},
                                    {"layerNormBackward", layer_backward},
                                    {"rmsNormForward", rms_forward},
                                    {"rmsNormBackward", rms_backward},
                                    {nullptr, nullptr}};
