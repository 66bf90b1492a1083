#include "arguments.h"

namespace {

// (losses, logits, targets, rows, vocab, gradScale)
napi_value cross_entropy(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(3, "rows"), vocab = a.size(4, "vocab");
  const int32_t* targets = a.i32(2, "targets", rows);
  for (int64_t r = 0; r < rows; r++)
    if (targets[r] >= vocab) a.fail("target " + std::to_string(targets[r]) + " is not among " + std::to_string(vocab));
  table.loss.cross_entropy(a.f32(0, "losses", rows), a.f32(1, "logits", rows * vocab), targets, rows, vocab,
                           static_cast<float>(a.number(5, "gradScale")));
  return nullptr;
}

// (y, x, rows, dim)
napi_value softmax(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(2, "rows"), dim = a.size(3, "dim");
  float* y = a.f32(0, "y", rows * dim);
  const float* x = a.f32(1, "x", rows * dim);
  if (dim > 0) table.loss.softmax(y, x, rows, dim);
  return nullptr;
}

// (dx, dy, y, rows, dim, accumulate)
napi_value softmax_backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(3, "rows"), dim = a.size(4, "dim"), floats = rows * dim;
  float* dx = a.f32(0, "dx", floats);
  const float *dy = a.f32(1, "dy", floats), *y = a.f32(2, "y", floats);
  if (dim > 0) table.loss.softmax_backward(dx, dy, y, rows, dim, a.flag(5));
  return nullptr;
}

}  // namespace

const NamedMethod loss_methods[] = {{"softmaxCrossEntropy", cross_entropy},
                                    {"softmaxForward", softmax},
                                    {"softmaxBackward", softmax_backward},
                                    {nullptr, nullptr}};
