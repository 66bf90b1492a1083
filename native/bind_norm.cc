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

// Arguments i..i+4: rows, columns, first, groups, dim.
ColumnGroups groups_at(Arguments& a, int i) {
  const Size rows = a.size(i, "rows"), columns = a.size(i + 1, "columns"), first = a.size(i + 2, "first"),
             groups = a.size(i + 3, "groups"), dim = a.size(i + 4, "dim");
  if (first + groups * dim > columns) a.fail("the groups reach past the columns");
  return {rows, columns, first, groups, dim};
}

// (y, rstd, x, weight, rows, columns, first, groups, dim, epsilon)
napi_value column_forward(Arguments& a, const KernelTable& table) {
  const ColumnGroups shape = groups_at(a, 4);
  const Size rows(shape.rows), floats = rows * Size(shape.columns);
  float *y = a.f32(0, "y", floats), *rstd = a.f32(1, "rstd", rows * Size(shape.groups));
  const float *x = a.f32(2, "x", floats), *weight = a.f32(3, "weight", Size(shape.dim));
  const float epsilon = static_cast<float>(a.number(9, "epsilon"));
  if (floats > 0 && shape.groups > 0 && shape.dim > 0) table.norm.column_forward(y, rstd, x, weight, shape, epsilon);
  return nullptr;
}

// (dx, dweight, dy, x, weight, rstd, rows, columns, first, groups, dim)
napi_value column_backward(Arguments& a, const KernelTable& table) {
  const ColumnGroups shape = groups_at(a, 6);
  const Size rows(shape.rows), floats = rows * Size(shape.columns), dim(shape.dim);
  float *dx = a.f32(0, "dx", floats), *dweight = a.f32(1, "dweight", dim);
  const float *dy = a.f32(2, "dy", floats), *x = a.f32(3, "x", floats), *weight = a.f32(4, "weight", dim),
              *rstd = a.f32(5, "rstd", rows * Size(shape.groups));
  if (floats > 0 && shape.groups > 0 && dim > 0) table.norm.column_backward(dx, dweight, dy, x, weight, rstd, shape);
  return nullptr;
}

}  // namespace

const NamedMethod norm_methods[] = {{"layerNormForward", layer_forward},
                                    {"layerNormBackward", layer_backward},
                                    {"rmsNormForward", rms_forward},
                                    {"rmsNormBackward", rms_backward},
                                    {"columnNormForward", column_forward},
                                    {"columnNormBackward", column_backward},
                                    {nullptr, nullptr}};
