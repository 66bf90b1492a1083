#include "arguments.h"

namespace {

// (k, n, groups, bf16) -> bytes
napi_value packed_bytes(Arguments& a, const KernelTable& table) {
  return a.result(static_cast<double>(
      table.matrix.packed_bytes(a.size(0, "k"), a.size(1, "n"), a.size(2, "groups"), a.flag(3))));
}

// Arguments i..i+4: data, k, n, groups, bf16.
PackedMatrix packed_at(Arguments& a, const KernelTable& table, int i) {
  PackedMatrix packed{a.size(i + 1, "k"), a.size(i + 2, "n"), a.size(i + 3, "groups"), a.flag(i + 4), nullptr};
  const int64_t size_bytes = table.matrix.packed_bytes(packed.k, packed.n, packed.groups, packed.bf16);
  packed.data = a.f32(i, "packed", size_bytes / 4);
  return packed;
}

// (packed x5, source, transposed)
napi_value pack(Arguments& a, const KernelTable& table) {
  const PackedMatrix packed = packed_at(a, table, 0);
  table.matrix.pack(packed, a.f32(5, "source", packed.groups * packed.k * packed.n), a.flag(6));
  return nullptr;
}

// Rows are counted in 32 bits, as offsets are.
int32_t rows_of(const Arguments& a, int64_t rows) {
  if (rows > INT32_MAX) a.fail("more than 2^31 - 1 rows");
  return static_cast<int32_t>(rows);
}

// (c, a, packed x5, m, accumulate)
napi_value gemm_packed(Arguments& a, const KernelTable& table) {
  const PackedMatrix packed = packed_at(a, table, 2);
  const int64_t m = a.size(7, "m");
  if (packed.groups != 1) a.fail("B must have one group");
  const int32_t offsets[2] = {0, rows_of(a, m)};
  float* c = a.f32(0, "c", m * packed.n);
  table.matrix.grouped_gemm_packed(c, a.f32(1, "a", m * packed.k), packed, offsets, a.flag(8));
  return nullptr;
}

// (c, a, packed x5, offsets, accumulate)
napi_value grouped_gemm_packed(Arguments& a, const KernelTable& table) {
  const PackedMatrix packed = packed_at(a, table, 2);
  int64_t rows;
  const int32_t* offsets = a.offsets(7, packed.groups, &rows);
  float* c = a.f32(0, "c", rows * packed.n);
  table.matrix.grouped_gemm_packed(c, a.f32(1, "a", rows * packed.k), packed, offsets, a.flag(8));
  return nullptr;
}

// (c, a, b, offsets, groups, n, k, bf16, accumulate): c [groups, n, k]
napi_value grouped_gemm_transposed(Arguments& a, const KernelTable& table) {
  const int64_t groups = a.size(4, "groups"), n = a.size(5, "n"), k = a.size(6, "k");
  int64_t rows;
  const int32_t* offsets = a.offsets(3, groups, &rows);
  float* c = a.f32(0, "c", groups * n * k);
  const float* left = a.f32(1, "a", rows * n);
  const float* right = a.f32(2, "b", rows * k);
  table.matrix.grouped_gemm_transposed(c, left, right, offsets, groups, n, k, a.flag(7), a.flag(8));
  return nullptr;
}

// (c, a, b, m, n, k, transA, transB, accumulate, bf16)
napi_value gemm(Arguments& a, const KernelTable& table) {
  const GemmShape shape{a.size(3, "m"), a.size(4, "n"), a.size(5, "k"), a.flag(6), a.flag(7), a.flag(8), a.flag(9)};
  rows_of(a, shape.m);
  rows_of(a, shape.k);
  float* c = a.f32(0, "c", shape.m * shape.n);
  const float* left = a.f32(1, "a", shape.m * shape.k);
  table.matrix.gemm(c, left, a.f32(2, "b", shape.k * shape.n), shape);
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
