#include <cmath>

#include "arguments.h"

namespace {

// (param, m, v, grad, learningRate, beta1, beta2, epsilon, weightDecay, step, gradScale)
napi_value adamw(Arguments& a, const KernelTable& table) {
  float* param = a.f32(0, "param");
  const Size length = a.length(0);
  const double beta1 = a.number(5, "beta1"), beta2 = a.number(6, "beta2");
  const double step = static_cast<double>(a.size(9, "step"));
  if (step < 1) a.fail("steps are counted from 1");
  const AdamW options{static_cast<float>(a.number(4, "learningRate")),
                      static_cast<float>(beta1),
                      static_cast<float>(beta2),
                      static_cast<float>(a.number(7, "epsilon")),
                      static_cast<float>(a.number(8, "weightDecay")),
                      static_cast<float>(1.0 - std::pow(beta1, step)),
                      static_cast<float>(1.0 - std::pow(beta2, step)),
                      static_cast<float>(a.number(10, "gradScale"))};
  table.optimizer.adamw(param, a.f32(1, "m", length), a.f32(2, "v", length), a.f32(3, "grad", length), length, options);
  return nullptr;
}

}  // namespace

const NamedMethod optimizer_methods[] = {{"adamw", adamw}, {nullptr, nullptr}};
