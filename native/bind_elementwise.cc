#include "arguments.h"

namespace {

// (y, value)
napi_value fill(Arguments& a, const KernelTable& table) {
  float* y = a.f32(0, "y");
  table.elementwise.fill(y, static_cast<float>(a.number(1, "value")), a.length(0));
  return nullptr;
}

// (y, x, alpha, accumulate)
napi_value scale(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(1, "x");
  const Size length = a.length(1);
  float* y = a.f32(0, "y", length);
  table.elementwise.scale(y, x, static_cast<float>(a.number(2, "alpha")), length, a.flag(3));
  return nullptr;
}

template <typename Op>
Op op_at(const Arguments& a, int index, Op last) {
  return static_cast<Op>(int64_t{a.size(index, "op", static_cast<int64_t>(last))});
}

// (op, y, x)
napi_value unary(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(2, "x");
  const Size length = a.length(2);
  table.elementwise.unary(op_at(a, 0, Unary::sqrt), a.f32(1, "y", length), x, length);
  return nullptr;
}

// (op, dx, dy, x, y, accumulate)
napi_value unary_backward(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(3, "x");
  const Size length = a.length(3);
  table.elementwise.unary_backward(op_at(a, 0, Unary::sqrt), a.f32(1, "dx", length), a.f32(2, "dy", length), x,
                                   a.f32(4, "y", length), length, a.flag(5));
  return nullptr;
}

// (op, y, a, b)
napi_value binary(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(2, "a");
  const Size length = a.length(2);
  table.elementwise.binary(op_at(a, 0, Binary::div), a.f32(1, "y", length), x, a.f32(3, "b", length), length);
  return nullptr;
}

// (op, y, a, b, rows, dim)
napi_value binary_row(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(4, "rows"), dim = a.size(5, "dim");
  const Binary op = op_at(a, 0, Binary::div);
  float* y = a.f32(1, "y", rows * dim);
  const float *x = a.f32(2, "a", rows * dim), *b = a.f32(3, "b", dim);
  if (dim > 0) table.elementwise.binary_row(op, y, x, b, rows, dim);
  return nullptr;
}

napi_value sum(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(0, "x");
  return a.result(table.elementwise.sum(x, a.length(0)));
}

napi_value sum_of_squares(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(0, "x");
  return a.result(table.elementwise.sum_of_squares(x, a.length(0)));
}

// (sums, x, rows, dim, accumulate)
napi_value column_sum(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(2, "rows"), dim = a.size(3, "dim");
  float* sums = a.f32(0, "sums", dim);
  const float* x = a.f32(1, "x", rows * dim);
  if (dim > 0) table.elementwise.column_sum(sums, x, rows, dim, a.flag(4));
  return nullptr;
}

}  // namespace

const NamedMethod elementwise_methods[] = {{"fill", fill},
                                           {"scale", scale},
                                           {"unary", unary},
                                           {"unaryBackward", unary_backward},
                                           {"binary", binary},
                                           {"binaryRow", binary_row},
                                           {"sum", sum},
                                           {"sumOfSquares", sum_of_squares},
                                           {"columnSum", column_sum},
                                           {nullptr, nullptr}};
