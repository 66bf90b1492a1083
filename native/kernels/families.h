// The families of kernels, each filling its part of the table of one instruction set.
#pragma once
#include "kernels.h"

namespace ISA_NS {

void fill_peak(KernelTable& table);
void fill_matrix(KernelTable& table);
void fill_attention(KernelTable& table);
void fill_elementwise(KernelTable& table);

}  // namespace ISA_NS
