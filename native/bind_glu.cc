#include "arguments.h"

namespace {

Activation activation_at(const Arguments& a, int index) { return a.flag(index) ? Activation::gelu : Activation::silu; }

// (h, gateUp, rows, hidden, isGelu)
napi_value forward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(2, "rows"), hidden = a.size(3, "hidden");
  float* h = a.f32(0, "h", rows * hidden);
  const float* gate_up = a.f32(1, "gateUp", rows * Size(2) * hidden);
  if (hidden > 0) table.glu.forward(h, gate_up, rows, hidden, activation_at(a, 4));
  return nullptr;
}

// (dGateUp, dh, gateUp, rows, hidden, isGelu)
napi_value backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(3, "rows"), hidden = a.size(4, "hidden");
  float* dgate_up = a.f32(0, "dGateUp", rows * Size(2) * hidden);
  const float *dh = a.f32(1, "dh", rows * hidden), *gate_up = a.f32(2, "gateUp", rows * Size(2) * hidden);
  if (hidden > 0) table.glu.backward(dgate_up, dh, gate_up, rows, hidden, activation_at(a, 5));
  return nullptr;
}

}  // namespace

const NamedMethod glu_methods[] = {{"gluForward", forward}, {"gluBackward", backward}, {nullptr, nullptr}};
