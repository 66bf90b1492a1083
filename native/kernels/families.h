// The families of kernels, each filling its part of the table of one instruction set.
#pragma once
#include "kernels.h"

namespace ISA_NS {

void fill_elementwise(KernelTable& table);

}  // namespace ISA_NS
