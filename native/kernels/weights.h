// Packed matrices of the formats for weights only, as matrix.cc calls them.
#pragma once
#include "kernels.h"

namespace ISA_NS {

int64_t weights_bytes(int64_t k, int64_t n, int64_t groups, Format format);
void pack_weights(const PackedMatrix& packed, const float* source, bool transposed);
// As MatrixTable::grouped_gemm_packed.
void multiply_weights(float* c, const float* a, const PackedMatrix& w, const int32_t* offsets, bool accumulate);

}  // namespace ISA_NS
