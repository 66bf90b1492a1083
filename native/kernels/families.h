// The families of kernels, each filling its part of the table of one instruction set.
#pragma once
#include "kernels.h"

namespace ISA_NS {

void fill_peak(KernelTable& table);
void fill_matrix(KernelTable& table);
void fill_attention(KernelTable& table);
void fill_attention_backward(KernelTable& table);
void fill_attention_cached(KernelTable& table);
void fill_elementwise(KernelTable& table);
void fill_norm(KernelTable& table);
void fill_rope(KernelTable& table);
void fill_glu(KernelTable& table);
void fill_embedding(KernelTable& table);
void fill_router(KernelTable& table);
void fill_dispatch(KernelTable& table);
void fill_loss(KernelTable& table);
void fill_optimizer(KernelTable& table);
void fill_blocks(KernelTable& table);

}  // namespace ISA_NS
