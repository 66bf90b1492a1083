#include "arguments.h"

namespace {

Activation activation_at(const Arguments& a, int index) { return a.flag(index) ? Activation::gelu : Activation::silu; }

// (h, gateUp, rows, hidden, isGelu)
napi_value forward(Arguments& a, const KernelTable& table) {
  const int64_t rows = a.size(2, "rows"), hidden = a.size(3, "hidden");
  table.glu.forward(a.f32(0, "h", rows * hidden), a.f32(1, "gateUp", rows * 2 * hidden), rows, hidden,
                    activation_at(a, 4));
  return nullptr;
}

// (dGateUp, dh, gateUp, rows, hidden, isGelu)
napi_value backward(Arguments& a, const KernelTable& table) {
  const int64_t rows = a.size(3, "rows"), hidden = a.size(4, "hidden");
  table.glu.backward(a.f32(0, "dGateUp", rows * 2 * hidden), a.f32(1, "dh", rows * hidden),
                     a.f32(2, "gateUp", rows * 2 * hidden), rows, hidden, activation_at(a, 5));
  return nullptr;
}

}  // namespace

const NamedMethod glu_methods[] = {{"gluForward", forward}, {"gluBackward", backward}, {nullptr, nullptr}};
