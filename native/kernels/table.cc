// Gathers the kernels of one instruction set.
#include "families.h"

namespace ISA_NS {

void fill_table(KernelTable& table) {
  table.name = ISA_NAME;
#if defined(__AVX512BF16__)
  table.fast_bf16 = true;
#else
  table.fast_bf16 = false;
#endif
  fill_peak(table);
  fill_matrix(table);
  fill_attention(table);
  fill_elementwise(table);
  fill_norm(table);
  fill_rope(table);
  fill_glu(table);
  fill_embedding(table);
  fill_router(table);
  fill_dispatch(table);
  fill_loss(table);
  fill_optimizer(table);
  fill_blocks(table);
}

}  // namespace ISA_NS
