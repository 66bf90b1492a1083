// The kernels of one instruction set, as tables of function pointers, one table per family. Every file of kernels/ is
// compiled once per instruction set and fills its part of the table (fill_<family>); the binding checks sizes and calls
// through the table, so kernels trust their arguments. Shapes and contracts: src/tensor/kernels.ts.
#pragma once
#include <cstdint>

struct ElementwiseTable {
  void (*fill)(float* y, float value, int64_t length);
  // y (+)= alpha * x
  void (*scale)(float* y, const float* x, float alpha, int64_t length, bool accumulate);
};

struct KernelTable {
  const char* name;
  bool fast_bf16;
  ElementwiseTable elementwise;
};

// Tables of the instruction sets in this build; a table may only be used when the processor supports it.
namespace isa_baseline { void fill_table(KernelTable&); }
#if defined(__x86_64__)
namespace isa_avx2 { void fill_table(KernelTable&); }
namespace isa_avx512 { void fill_table(KernelTable&); }
namespace isa_avx512bf16 { void fill_table(KernelTable&); }
#endif
