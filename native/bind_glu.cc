#include "arguments.h"

namespace {

Activation activation_at(const Arguments& a, int index) {
  return static_cast<Activation>(int64_t{a.size(index, "activation", static_cast<int64_t>(Activation::gelu_tanh))});
}

// (h, gateUp, rows, hidden, activation)
napi_value forward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(2, "rows"), hidden = a.size(3, "hidden");
  float* h = a.f32(0, "h", rows * hidden);
  const float* gate_up = a.f32(1, "gateUp", rows * Size(2) * hidden);
  const Activation activation = activation_at(a, 4);
  if (hidden > 0) table.glu.forward(h, gate_up, rows, hidden, activation);
  return nullptr;
}

// (dGateUp, dh, gateUp, rows, hidden, activation)
napi_value backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(3, "rows"), hidden = a.size(4, "hidden");
  float* dgate_up = a.f32(0, "dGateUp", rows * Size(2) * hidden);
  const float *dh = a.f32(1, "dh", rows * hidden), *gate_up = a.f32(2, "gateUp", rows * Size(2) * hidden);
  const Activation activation = activation_at(a, 5);
  if (hidden > 0) table.glu.backward(dgate_up, dh, gate_up, rows, hidden, activation);
  return nullptr;
}

}  // namespace

const NamedMethod glu_methods[] = {{"gluForward", forward}, {"gluBackward", backward}, {nullptr, nullptr}};
