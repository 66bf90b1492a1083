#include "arguments.h"

namespace {

// (probs, weights, experts, logits, rows, numExperts, topK, normalize)
napi_value forward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(4, "rows"), experts = a.size(5, "numExperts", INT32_MAX), top_k = a.size(6, "topK");
  if (top_k > experts) a.fail("topK exceeds numExperts");
  float *probs = a.f32(0, "probs", rows * experts), *weights = a.f32(1, "weights", rows * top_k);
  int32_t* chosen = a.i32(2, "experts", rows * top_k);
  const float* logits = a.f32(3, "logits", rows * experts);
  if (experts > 0) table.router.forward(probs, weights, chosen, logits, rows, experts, top_k, a.flag(7));
  return nullptr;
}

// (dlogits, dweights, auxGrad, probs, experts, rows, numExperts, topK, normalize)
napi_value backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(5, "rows"), experts = a.size(6, "numExperts"), top_k = a.size(7, "topK");
  const int32_t* chosen = a.i32(4, "experts", rows * top_k);
  for (int64_t i = 0; i < rows * top_k; i++)
    if (chosen[i] < 0 || chosen[i] >= experts) a.fail("no such expert");
  float* dlogits = a.f32(0, "dlogits", rows * experts);
  const float *dweights = a.f32(1, "dweights", rows * top_k), *aux_grad = a.f32(2, "auxGrad", experts),
              *probs = a.f32(3, "probs", rows * experts);
  if (experts > 0)
    table.router.backward(dlogits, dweights, aux_grad, probs, chosen, rows, experts, top_k, a.flag(8));
  return nullptr;
}

}  // namespace

const NamedMethod router_methods[] = {{"routerForward", forward}, {"routerBackward", backward}, {nullptr, nullptr}};
