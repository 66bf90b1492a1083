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

// `groups` matrices of k x n in panels of columns: [group][panel][k (pairs for bf16)][column]. On sets without bf16
// hardware a bf16 matrix holds rounded floats.
struct PackedMatrix {
  int64_t k, n, groups;
  bool bf16;
  void* data;
};

struct GemmShape {
  int64_t m, n, k;
  bool trans_a, trans_b, accumulate, bf16;
};

struct MatrixTable {
  int64_t (*packed_bytes)(int64_t k, int64_t n, int64_t groups, bool bf16);
  void (*pack)(const PackedMatrix& packed, const float* source, bool transposed);
  // For every group g: c[rows g, n] (+)= a[rows g, k] * B_g; rows g = offsets[g]..offsets[g+1].
  void (*grouped_gemm_packed)(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate);
  // c[g] [m, n] (+)= a[rows g, m]^T * b[rows g, n].
  void (*grouped_gemm_transposed)(float* c, const float* a, const float* b, const int32_t* offsets, int64_t groups,
                                  int64_t m, int64_t n, bool bf16, bool accumulate);
  void (*gemm)(float* c, const float* a, const float* b, const GemmShape& shape);
};

struct AttentionShape {
  int64_t rows, heads, kv_heads, head_dim;
};

struct AttentionTable {
  void (*forward)(float* out, float* lse, const float* qkv, const int32_t* first_key, const AttentionShape& shape,
                  float scale);
  void (*backward)(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                   const int32_t* first_key, const AttentionShape& shape, float scale);
  void (*cached)(float* out, float* key_cache, float* value_cache, const float* qkv, const int32_t* slots,
                 const int32_t* positions, const AttentionShape& shape, int64_t cache_length, float scale);
};

struct KernelTable {
  const char* name;
  bool fast_bf16;
  double (*measure_flops)(bool bf16, double milliseconds);  // of all threads together
  MatrixTable matrix;
  AttentionTable attention;
  ElementwiseTable elementwise;
};

// Tables of the instruction sets in this build; a table may only be used when the processor supports it.
namespace isa_baseline { void fill_table(KernelTable&); }
#if defined(__x86_64__)
namespace isa_avx2 { void fill_table(KernelTable&); }
namespace isa_avx512 { void fill_table(KernelTable&); }
namespace isa_avx512bf16 { void fill_table(KernelTable&); }
#endif
