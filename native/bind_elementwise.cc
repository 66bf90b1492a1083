#include "arguments.h"

namespace {

// (y, value)
napi_value fill(Arguments& a, const KernelTable& table) {
  float* y = a.f32(0, "y", Arguments::any);
  table.elementwise.fill(y, static_cast<float>(a.number(1, "value")), a.length(0));
  return nullptr;
}

// (y, x, alpha, accumulate)
napi_value scale(Arguments& a, const KernelTable& table) {
  const float* x = a.f32(1, "x", Arguments::any);
  const int64_t length = a.length(1);
  float* y = a.f32(0, "y", length);
  table.elementwise.scale(y, x, static_cast<float>(a.number(2, "alpha")), length, a.flag(3));
  return nullptr;
}

}  // namespace

const NamedMethod elementwise_methods[] = {{"fill", fill}, {"scale", scale}, {nullptr, nullptr}};
