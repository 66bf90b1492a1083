#include "arguments.h"

namespace {

// Matrices to pack: their sizes, and the bytes they take.
struct Packing {
  Size k, n, groups;
  bool bf16;
  Size size_bytes;
};

// A set of instructions rounds k and n up by less than this.
const Size most_padding(256);

// Arguments i..i+3: k, n, groups, bf16.
Packing packing_at(const Arguments& a, const KernelTable& table, int i) {
  const Size k = a.size(i, "k"), n = a.size(i + 1, "n"), groups = a.size(i + 2, "groups");
  const bool bf16 = a.flag(i + 3);
  (k + most_padding) * (n + most_padding) * groups * Size(4);  // or the set's own sum could wrap around
  return {k, n, groups, bf16, Size(table.matrix.packed_bytes(k, n, groups, bf16))};
}

// (k, n, groups, bf16) -> bytes
napi_value packed_bytes(Arguments& a, const KernelTable& table) {
  return a.result(static_cast<double>(packing_at(a, table, 0).size_bytes));
}

// Arguments i..i+4: data, k, n, groups, bf16.
Packing packed_at(Arguments& a, const KernelTable& table, int i, PackedMatrix* packed) {
  const Packing p = packing_at(a, table, i + 1);
  *packed = {p.k, p.n, p.groups, p.bf16, a.f32(i, "packed", Size(p.size_bytes / 4))};
  return p;
}

// (packed x5, source, transposed)
napi_value pack(Arguments& a, const KernelTable& table) {
  PackedMatrix packed;
  const Packing p = packed_at(a, table, 0, &packed);
  const float* source = a.f32(5, "source", p.groups * p.k * p.n);
  if (p.size_bytes > 0) table.matrix.pack(packed, source, a.flag(6));
  return nullptr;
}

// (c, a, packed x5, m, accumulate)
napi_value gemm_packed(Arguments& a, const KernelTable& table) {
  PackedMatrix packed;
  const Packing p = packed_at(a, table, 2, &packed);
  const Size m = a.size(7, "m", INT32_MAX);
  if (p.groups != 1) a.fail("B must have one group");
  const int32_t offsets[2] = {0, static_cast<int32_t>(m)};
  float* c = a.f32(0, "c", m * p.n);
  const float* left = a.f32(1, "a", m * p.k);
  if (m * p.n > 0) table.matrix.grouped_gemm_packed(c, left, packed, offsets, a.flag(8));
  return nullptr;
}

// (c, a, packed x5, offsets, accumulate)
napi_value grouped_gemm_packed(Arguments& a, const KernelTable& table) {
  PackedMatrix packed;
  const Packing p = packed_at(a, table, 2, &packed);
  const int32_t* offsets = a.offsets(7, p.groups);
  const Size rows(offsets[p.groups]);
  float* c = a.f32(0, "c", rows * p.n);
  const float* left = a.f32(1, "a", rows * p.k);
  if (rows * p.n > 0) table.matrix.grouped_gemm_packed(c, left, packed, offsets, a.flag(8));
  return nullptr;
}

// (c, a, b, offsets, groups, n, k, bf16, accumulate): c [groups, n, k]
napi_value grouped_gemm_transposed(Arguments& a, const KernelTable& table) {
  const Size groups = a.size(4, "groups"), n = a.size(5, "n"), k = a.size(6, "k");
  const int32_t* offsets = a.offsets(3, groups);
  const Size rows(offsets[groups]), floats = groups * n * k;
  float* c = a.f32(0, "c", floats);
  const float *left = a.f32(1, "a", rows * n), *right = a.f32(2, "b", rows * k);
  if (floats > 0) table.matrix.grouped_gemm_transposed(c, left, right, offsets, groups, n, k, a.flag(7), a.flag(8));
  return nullptr;
}

// (c, a, b, m, n, k, transA, transB, accumulate, bf16)
napi_value gemm(Arguments& a, const KernelTable& table) {
  // Rows are counted in 32 bits, as offsets are; those of a transposed product run along k.
  const Size m = a.size(3, "m", INT32_MAX), n = a.size(4, "n"), k = a.size(5, "k", INT32_MAX);
  const GemmShape shape{m, n, k, a.flag(6), a.flag(7), a.flag(8), a.flag(9)};
  float* c = a.f32(0, "c", m * n);
  const float *left = a.f32(1, "a", m * k), *right = a.f32(2, "b", k * n);
  if (m * n > 0) table.matrix.gemm(c, left, right, shape);
  return nullptr;
}

}  // namespace

const NamedMethod matrix_methods[] = {{"packedBytes", packed_bytes},
                                      {"pack", pack},
                                      {"gemmPacked", gemm_packed},
                                      {"groupedGemmPacked", grouped_gemm_packed},
                                      {"groupedGemmTransposed", grouped_gemm_transposed},
                                      {"gemm", gemm},
                                      {nullptr, nullptr}};
