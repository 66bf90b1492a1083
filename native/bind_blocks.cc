#include "arguments.h"

namespace {

constexpr int num_formats = sizeof block_layouts / sizeof block_layouts[0];

// The format in argument 2; `blocks` must hold what `weights` weights take in it.
int format_at(const Arguments& a, int64_t most, Size weights, Size bytes) {
  const int format = static_cast<int>(int64_t{a.size(2, "format", most)});
  const auto& layout = block_layouts[format];
  if (weights % layout.weights != 0) a.fail("the weights must be whole blocks");
  if (bytes != Size(weights / layout.weights) * Size(layout.bytes)) a.fail("blocks must hold the bytes of all weights");
  return format;
}

// (blocks, x, format) -> whether they stand for x
napi_value quantize_blocks(Arguments& a, const KernelTable& table) {
  uint8_t* blocks = a.u8(0, "blocks");
  const float* x = a.f32(1, "x");
  const Size weights = a.length(1);
  const int format = format_at(a, num_quantizable_formats - 1, weights, a.length(0));
  napi_value result;
  napi_get_boolean(a.env, table.blocks.quantize(format, blocks, x, weights / block_layouts[format].weights), &result);
  return result;
}

// (y, blocks, format)
napi_value dequantize_blocks(Arguments& a, const KernelTable& table) {
  float* y = a.f32(0, "y");
  const uint8_t* blocks = a.u8(1, "blocks");
  const Size weights = a.length(0);
  const int format = format_at(a, num_formats - 1, weights, a.length(1));
  table.blocks.dequantize(format, y, blocks, weights / block_layouts[format].weights);
  return nullptr;
}

}  // namespace

const NamedMethod block_methods[] = {{"quantizeBlocks", quantize_blocks},
                                     {"dequantizeBlocks", dequantize_blocks},
                                     {nullptr, nullptr}};
